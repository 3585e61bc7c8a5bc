// Features of earlier batches, as negatives of the contrast (method, section 3, ITC). E embedding, Q length, B batch.
#pragma once

#include "nn/parameters.h"

namespace vicha {

/// A batch that does not divide the length wraps round.
class Queue {
 public:
  Queue(ParameterStore& store, std::int64_t embed_dim, std::int64_t length, std::uint64_t seed);

  /// From now on ids are kept too, for positives other than the pair itself; once, before anything is pushed.
  void keep_ids(ParameterStore& store);

  const at::Tensor& images() const { return images_; }  ///< (E, Q)
  const at::Tensor& texts() const { return texts_; }    ///< (E, Q)
  const at::Tensor& ids() const { return ids_; }        ///< (1, Q) int64, -100 where nothing came yet; or undefined
  /// (B, E) features and (B) ids (may be undefined) go in at the pointer. Of more rows than the queue is long the last
  /// ones stay, as if they had come one after the other.
  void push(const at::Tensor& image_feat, const at::Tensor& text_feat, const at::Tensor& ids);

 private:
  at::Tensor images_, texts_, ids_, pointer_;
};

}  // namespace vicha
