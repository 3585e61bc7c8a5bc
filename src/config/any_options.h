// Options whose struct is only known at run time: a value that holds any described struct derived from `Base`.
//
//   struct ObjectiveOptions { double weight = 1; void describe(Visitor&); };   // what all of them have
//   struct MlmOptions : ObjectiveOptions { double mask_share = 0.15; void describe(Visitor&); };
//
//   struct Recipe {
//     std::vector<std::pair<std::string, AnyOptions<ObjectiveOptions>>> objectives;
//     void describe(Visitor& v) {
//       for (auto& [key, options] : objectives) v.section(key, "…", options);
//     }
//     Recipe defaults() const { … }      // the same list, each `options.defaults()`; see KnowsDefaults (serialize.h)
//   };
//   recipe.objectives.emplace_back("mlm", MlmOptions());
//   recipe.objectives[0].second->weight;                        // of the base
//   recipe.objectives[0].second.get<MlmOptions>().mask_share;   // of the struct
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "base/error.h"
#include "config/describe.h"

namespace vicha {

/// Copies are deep. One that was moved from may only be assigned to or destroyed.
template <class Base>
class AnyOptions {
 public:
  template <std::derived_from<Base> Options>
  AnyOptions(Options options)  // NOLINT(google-explicit-constructor): it is one
      : held_(std::make_unique<Held<Options>>(std::move(options))) {}
  AnyOptions(const AnyOptions& other) : held_(other.holder().copy()) {}
  AnyOptions(AnyOptions&&) noexcept = default;
  AnyOptions& operator=(const AnyOptions& other) {
    held_ = other.holder().copy();
    return *this;
  }
  AnyOptions& operator=(AnyOptions&&) noexcept = default;
  ~AnyOptions() = default;

  /// The struct's own `describe`, whether virtual or not.
  void describe(Visitor& visitor) { holder().describe(visitor); }
  /// The same struct with its default values.
  AnyOptions defaults() const { return AnyOptions(holder().defaults()); }

  Base& operator*() { return holder().base(); }
  const Base& operator*() const { return holder().base(); }
  Base* operator->() { return &holder().base(); }
  const Base* operator->() const { return &holder().base(); }

  /// Whether the struct is an `Options`, not one derived from it.
  template <std::derived_from<Base> Options>
  bool holds() const {
    return holder().type() == typeid(Options);
  }
  /// It must be one.
  template <std::derived_from<Base> Options>
  Options& get() {
    VICHA_ASSERT(holds<Options>());
    return static_cast<Options&>(holder().base());
  }
  template <std::derived_from<Base> Options>
  const Options& get() const {
    VICHA_ASSERT(holds<Options>());
    return static_cast<const Options&>(holder().base());
  }

 private:
  struct Holder {
    virtual ~Holder() = default;
    virtual std::unique_ptr<Holder> copy() const = 0;
    virtual std::unique_ptr<Holder> defaults() const = 0;
    virtual void describe(Visitor& visitor) = 0;
    virtual Base& base() = 0;
    virtual const std::type_info& type() const = 0;
  };
  template <class Options>
  struct Held final : Holder {
    explicit Held(Options given) : options(std::move(given)) {}
    std::unique_ptr<Holder> copy() const override { return std::make_unique<Held>(options); }
    std::unique_ptr<Holder> defaults() const override { return std::make_unique<Held>(Options()); }
    void describe(Visitor& visitor) override { options.describe(visitor); }
    Base& base() override { return options; }
    const std::type_info& type() const override { return typeid(Options); }
    Options options;
  };

  explicit AnyOptions(std::unique_ptr<Holder> held) : held_(std::move(held)) {}
  Holder& holder() const {
    const bool was_not_moved_from = held_ != nullptr;
    VICHA_ASSERT(was_not_moved_from);
    return *held_;
  }

  std::unique_ptr<Holder> held_;
};

}  // namespace vicha
