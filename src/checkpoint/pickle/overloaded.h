// A visitor of std::variant put together from lambdas.
#pragma once

namespace vicha {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;  // clang 16 does not deduce aggregates

}  // namespace vicha
