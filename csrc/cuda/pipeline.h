// The kernels in their order, for whatever launches them: a CUDA stream, or the emulation of the tests.
#pragma once

#include "cuda/core.h"
#include "cuda/gram.h"
#include "cuda/householder.h"
#include "cuda/rotation.h"

namespace taskvec::TASKVEC_LEVEL {

// launch(body, blocks, threads, bytes of shared memory)
template <int Bands, class Src, class Launch>
void lowrank_chunk(const Work& work, Launch& launch) {
  using Out = typename OutputOf<Src>::type;
  using FirstGram = Gram<Src, Bands, true>;
  using LaterGram = Gram<Src, Bands, false>;
  const int threads = work.plan.threads;
  for (int pass = 0; pass < most_passes; ++pass) {
    // what is orthonormal already is left alone by the later passes
    if (pass == 0) {
      launch(FirstGram{work}, FirstGram::blocks(work), stream_threads, FirstGram::shared_bytes);
    } else {
      launch(LaterGram{work}, LaterGram::blocks(work), stream_threads, LaterGram::shared_bytes);
    }
    launch(Orthonormalise{work, pass}, Orthonormalise::blocks(work), threads, work.plan.team_bytes);
  }
  launch(Core{work}, Core::blocks(work), threads, work.plan.team_bytes);
  launch(Rotate<Src, Out, Bands>{work}, Rotate<Src, Out, Bands>::blocks(work), stream_threads, 0);
  launch(Householder{work}, Householder::blocks(work), threads, work.plan.team_bytes);
}

template <class Src, class Launch>
void lowrank_pipeline(const LowRankSVDArgs& args, const Plan& plan, void* workspace, Launch& launch) {
  for (int64_t first = 0; first < args.batch; first += plan.chunk) {
    const Work work{args, plan, static_cast<char*>(workspace), first, smaller(plan.chunk, args.batch - first)};
    switch (plan.bands) {
      case 1:
        lowrank_chunk<1, Src>(work, launch);
        break;
      case 2:
        lowrank_chunk<2, Src>(work, launch);
        break;
      default:
        lowrank_chunk<4, Src>(work, launch);
    }
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
