// Tiles of weights in groups, or rows, with a float32 scale.
#include "integer-tiles.h"

namespace loquent::LOQUENT_ISA {

const Tiles& groupTiles(Format f) {
  switch (f) {
    case Format::i8_128: return integerTilesOf<Format::i8_128>;
    case Format::i8_64: return integerTilesOf<Format::i8_64>;
    case Format::i8_32: return integerTilesOf<Format::i8_32>;
    case Format::u4_row: return integerTilesOf<Format::u4_row>;
    case Format::u4_128: return integerTilesOf<Format::u4_128>;
    case Format::u4_64: return integerTilesOf<Format::u4_64>;
    case Format::u4_32: return integerTilesOf<Format::u4_32>;
    default: return integerTilesOf<Format::i8_row>;
  }
}

}  // namespace loquent::LOQUENT_ISA
