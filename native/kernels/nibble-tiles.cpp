// Tiles of weights whose integers are kept as nibbles, with or without a plane of two bits more.
#include "integer-tiles.h"

namespace loquent::LOQUENT_ISA {

const Tiles& nibbleTiles(Format f) {
  switch (f) {
    case Format::q4_1: return integerTilesOf<Format::q4_1>;
    case Format::q2_k: return integerTilesOf<Format::q2_k>;
    case Format::q3_k: return integerTilesOf<Format::q3_k>;
    case Format::q4_k: return integerTilesOf<Format::q4_k>;
    case Format::q6_k: return integerTilesOf<Format::q6_k>;
    case Format::nf4:
    case Format::fp4:
    case Format::lut4: return codeTiles(f);
    case Format::q4_0: return integerTilesOf<Format::q4_0>;
    default: return groupTiles(f);
  }
}

}  // namespace loquent::LOQUENT_ISA
