// Batches made ahead by worker threads, sample by sample, and handed over in order.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "data/pipeline/sample_maker.h"

namespace vicha {

/// A batch before collation.
struct DraftBatch {
  std::int64_t number = 0;
  at::Tensor image;  ///< (B, 3, R, R) pixels or (B, N, P) features, fp32, filled in by the workers
  std::vector<at::Tensor> further_images = {};  ///< the same of further pictures of each sample
  std::vector<Sample> samples;                  ///< B

  std::span<float> picture(std::int64_t slot);  ///< of one sample
  /// All of one sample's, its own first.
  std::vector<std::span<float>> pictures(std::int64_t slot);
};

/// What is made when depends on the threads; what comes out does not.
class BatchQueue {
 public:
  /// The empty batch of a number, or null behind the last one. Called in order, by one thread at a time.
  using Open = std::function<std::unique_ptr<DraftBatch>(std::int64_t number)>;
  /// Makes one sample. Called from many threads concurrently, for different samples.
  using Make = std::function<void(DraftBatch& batch, std::int64_t slot)>;

  /// `workers` 0: one for each core. At most `prefetch` batches exist at a time, not counting those handed over.
  BatchQueue(std::int64_t workers, std::int64_t prefetch, Open open, Make make);
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  /// The next batch to hand over. Work on others is dropped.
  void seek(std::int64_t number);
  /// Waits, at most so long, until `next` would not; false if it still would.
  bool ready(std::chrono::milliseconds patience);
  /// Null behind the last batch. Throws what `open` threw, or `make` for the first sample that failed.
  std::unique_ptr<DraftBatch> next();

 private:
  struct Entry {
    std::unique_ptr<DraftBatch> batch;
    std::int64_t claimed = 0, finished = 0;  // samples
    std::int64_t failed_slot = -1;
    std::exception_ptr failure;

    std::int64_t size() const { return batch ? static_cast<std::int64_t>(batch->samples.size()) : 0; }
  };

  void start_workers();
  void work();
  std::shared_ptr<Entry> claim();  // an entry with a sample that nobody has claimed, or null
  bool may_open() const;
  bool front_is_made() const {
    return entries_.empty() ? past_last_ : entries_.front()->finished == entries_.front()->size();
  }

  const std::int64_t workers_;
  const std::size_t prefetch_;
  const Open open_;
  const Make make_;

  std::mutex mutex_;
  std::condition_variable work_to_do_, batch_done_;
  std::deque<std::shared_ptr<Entry>> entries_;  // in order; only the last may have unclaimed samples
  std::int64_t next_number_ = 0;
  bool past_last_ = false, stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace vicha
