// What a training or evaluation step reads. Made by `data`, on the host, pinned where a GPU is used.
// B images or pairs, L text tokens, K concept tokens.
//
// Every model reads the core: images, captions, concepts. What only one objective or task reads (masked words,
// answers, boxes) is a type of its own beside it, which nobody else has to know:
//
//   struct Answers : BatchTargets { at::Tensor ids; void for_each_tensor(const TensorVisit& v) override { v(ids); } };
//   batch.add<Answers>().ids = ...;                                               // where the batch is made
//   if (const Answers* answers = batch.find<Answers>()) use(answers->ids);        // where it is read
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/error.h"

namespace vicha {

using TensorVisit = std::function<void(at::Tensor&)>;

/// What an objective or a task adds to a batch.
struct BatchTargets {
  virtual ~BatchTargets() = default;
  /// Shows every tensor, the undefined ones too: the visitor may put another in its place, as a move to a GPU does.
  virtual void for_each_tensor(const TensorVisit& visit) = 0;

 protected:
  BatchTargets() = default;
  BatchTargets(const BatchTargets&) = default;
  BatchTargets& operator=(const BatchTargets&) = default;
};

/// Token ids padded on the right.
struct Tokens {
  at::Tensor ids;                     ///< (B, L) int64
  std::vector<std::int64_t> lengths;  ///< real tokens of each row, 1..L

  bool defined() const { return ids.defined(); }
  std::int64_t size() const { return static_cast<std::int64_t>(lengths.size()); }
};

/// Pictures of the samples beside their own, one list for each column of pictures that the task's records have (NLVR2).
/// They are encoded apart: their concepts have lengths of their own.
struct FurtherPictures : BatchTargets {
  struct List {
    at::Tensor image;  ///< as Batch::image
    Tokens concepts;   ///< as Batch::concepts
  };
  std::vector<List> lists;

  void for_each_tensor(const TensorVisit& visit) override {
    for (List& list : lists) visit(list.image);
  }
};

/// Moved, never copied: copies would share tensors that `to` replaces.
struct Batch {
  at::Tensor image;                   ///< (B, 3, R, R) fp32, normalised; or features of patches (B, N, P) fp32
  Tokens text;                        ///< captions
  Tokens concepts;                    ///< joined concept words; undefined where the model has none
  at::Tensor image_ids;               ///< (B) int64, equal for the same image
  at::Tensor caption_ids;             ///< (B) int64, equal for the same caption text
  std::vector<std::int64_t> records;  ///< (B) index of each sample in the source, for messages

  std::int64_t size() const {
    if (text.defined()) return text.size();
    return image.defined() ? image.size(0) : static_cast<std::int64_t>(records.size());
  }

  /// Takes targets of a type that the batch does not have yet.
  template <class T>
  T& add(T targets = {});
  /// The targets of exactly this type, null where there are none.
  template <class T>
  const T* find() const;
  template <class T>
  T* find() {
    return const_cast<T*>(std::as_const(*this).find<T>());
  }
  /// Where it is a mistake of ours that there are none.
  template <class T>
  const T& get() const {
    const T* found = find<T>();
    VICHA_ASSERT(found != nullptr);
    return *found;
  }

  /// Shows every defined tensor, those of the targets included.
  void for_each_tensor(const TensorVisit& visit);
  /// The batch with its tensors on the device, but for token ids: the host packs them (models/bert.h), and would have
  /// to wait for them otherwise. `non_blocking` copies from pinned memory do not wait.
  Batch to(const at::Device& device, bool non_blocking) &&;
  /// The batch with its tensors in page-locked memory, for such copies. Needs a GPU.
  Batch pin_memory() &&;

 private:
  std::vector<std::unique_ptr<BatchTargets>> targets_;
};

template <class T>
T& Batch::add(T targets) {
  static_assert(std::is_base_of_v<BatchTargets, T>);
  VICHA_ASSERT(find<T>() == nullptr);
  auto held = std::make_unique<T>(std::move(targets));
  T& added = *held;
  targets_.push_back(std::move(held));
  return added;
}

template <class T>
const T* Batch::find() const {
  static_assert(std::is_base_of_v<BatchTargets, T>);
  for (const auto& targets : targets_) {
    const BatchTargets& held = *targets;
    if (typeid(held) == typeid(T)) return static_cast<const T*>(&held);
  }
  return nullptr;
}

}  // namespace vicha
