// Tiles of weights whose integers are kept as bytes.
#include "integer-tiles.h"

namespace loquent::LOQUENT_ISA {

const Tiles& byteTiles(Format f) {
  switch (f) {
    case Format::q5_0: return integerTilesOf<Format::q5_0>;
    case Format::q5_1: return integerTilesOf<Format::q5_1>;
    case Format::q5_k: return integerTilesOf<Format::q5_k>;
    case Format::q8_0: return integerTilesOf<Format::q8_0>;
    default: return groupTiles(f);
  }
}

}  // namespace loquent::LOQUENT_ISA
