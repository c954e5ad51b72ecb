// The kernels of one instruction set, by op.
#include "call.h"

#define LOQUENT_TEXT_(x) #x
#define LOQUENT_TEXT(x) LOQUENT_TEXT_(x)

namespace loquent::LOQUENT_ISA {
extern const KernelSet set;
const KernelSet set = {
    LOQUENT_TEXT(LOQUENT_ISA),
    // In the order of op ids, which begin at 1.
    {nullptr, &embedding, &linear, &rmsNorm, &addRmsNorm, &ropeTable, &rope, &writeKv, &attention, &gatedActivation, &add,
     &selectRows, &penalize, &maskTokens, &warp, &choose, &topTokens, &encode,
     &gatedLinear},
};

}  // namespace loquent::LOQUENT_ISA
