// Row kernels are compiled for several instruction sets and the best one is picked when the program starts, so that one
// binary runs on every machine of its architecture.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define VICHA_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VICHA_MULTIVERSION
#endif
