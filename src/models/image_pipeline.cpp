#include "models/image_pipeline.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "nn/kernel_choice.h"
#include "nn/precision.h"

namespace vicha {
namespace {

/// Batches a thread that the threads may be ahead of the oldest unfinished one: bounds what waits for its turn.
constexpr std::int64_t kAhead = 4;

/// Hands out batches to threads and takes them back in any order.
class ImageBatches {
 public:
  ImageBatches(const ImagePipeline& pipeline, std::int64_t count, std::int64_t threads)
      : pipeline_(pipeline), count_(count), ahead_(kAhead * threads) {}

  /// The next batch to read, empty behind the last.
  ImageBatch take(std::int64_t& number) {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return stopped_ || taken_ - finished_ < ahead_; });
    ImageBatch batch;
    if (stopped_) return batch;
    const std::int64_t most = pipeline_.batch, size = std::clamp((count_ - next_) / 4, (most + 3) / 4, most);
    batch.begin = next_;
    batch.end = next_ = std::min(count_, next_ + size);
    number = taken_++;
    return batch;
  }

  void give_back(std::int64_t number, ImageBatch batch) {
    std::unique_lock lock(mutex_);
    waiting_.emplace(number, std::move(batch));
    if (delivering_) return;
    delivering_ = true;
    for (auto first = waiting_.begin(); first != waiting_.end() && first->first == finished_;
         first = waiting_.begin()) {
      const ImageBatch next = std::move(first->second);
      waiting_.erase(first);
      lock.unlock();
      pipeline_.done(next);
      lock.lock();
      ++finished_;
      moved_.notify_all();
    }
    delivering_ = false;
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    moved_.notify_all();
  }

 private:
  const ImagePipeline& pipeline_;
  const std::int64_t count_, ahead_;
  std::mutex mutex_;
  std::condition_variable moved_;
  std::int64_t next_ = 0;                  // image
  std::int64_t taken_ = 0, finished_ = 0;  // batches
  std::map<std::int64_t, ImageBatch> waiting_;
  bool delivering_ = false, stopped_ = false;
};

void read_and_encode(const ImagePipeline& pipeline, const at::Tensor& space, ImageBatch& batch) {
  const std::int64_t views = pipeline.views;
  const at::Tensor pixels = space.slice(0, 0, (batch.end - batch.begin) * views);
  const auto size = static_cast<std::size_t>(views * pixels.stride(0));
  std::vector<std::int64_t> rows;
  float* place = pixels.data_ptr<float>();
  for (std::int64_t i = batch.begin; i < batch.end; ++i, place += size) {
    if (pipeline.read(i, {place, size})) {
      batch.images.push_back(i);
      for (std::int64_t v = 0; v < views; ++v) rows.push_back((i - batch.begin) * views + v);
    } else {
      std::fill_n(place, size, 0.0f);
    }
  }
  if (rows.empty()) return;
  batch.rows = pipeline.encode(pixels);
  if (static_cast<std::int64_t>(rows.size()) < pixels.size(0)) {
    batch.rows = batch.rows.index_select(0, at::tensor(rows, at::kLong).to(batch.rows.device()));
  }
}

}  // namespace

std::int64_t tower_rows(const at::Device& device) { return device.is_cpu() ? 1200 : 8192; }

std::int64_t images_at_once(std::int64_t tokens, const at::Device& device) {
  return std::max<std::int64_t>(1, tower_rows(device) / tokens);
}

void ImagePipeline::run(std::int64_t count) const {
  VICHA_ASSERT(side > 0 && views > 0 && batch > 0);
  const std::int64_t all = at::get_num_threads(), used = threads > 0 ? std::min(threads, all) : all;
  const bool bf16 = compute_type() == at::kBFloat16;
  ImageBatches batches(*this, count, used);
  const auto work = [&] {
    const at::NoGradGuard no_grad;
    const Bf16Scope scope(bf16);
    const at::Tensor space = at::empty({std::min(batch, count) * views, 3, side, width > 0 ? width : side}, at::kFloat);
    std::int64_t number = 0;
    for (ImageBatch b = batches.take(number); b.begin < b.end; b = batches.take(number)) {
      read_and_encode(*this, space, b);
      batches.give_back(number, std::move(b));
    }
  };
  kernel_choice();  // measured here, with all threads, rather than by one of several
  // The region is of all threads even where one works: inside of it a product runs on the calling thread alone, so
  // that the rows do not depend on how many work.
  at::parallel_for(0, all, 1, [&](std::int64_t begin, std::int64_t) {
    if (begin >= used) return;
    try {
      work();
    } catch (...) {
      batches.stop();
      throw;
    }
  });
}

}  // namespace vicha
