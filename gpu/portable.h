// Functions that the CPU and CUDA back ends share are marked COVEY_AGG_HD: the tests on the CPU then prove
// both.
#pragma once

#ifdef __CUDACC__
#define COVEY_AGG_HD __host__ __device__
#else
#define COVEY_AGG_HD
#endif
