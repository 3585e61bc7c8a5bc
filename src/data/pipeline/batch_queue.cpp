#include "data/pipeline/batch_queue.h"

#include <algorithm>
#include <utility>

namespace vicha {

namespace {

std::span<float> picture_of(const at::Tensor& images, std::int64_t slot) {
  const std::int64_t size = images.stride(0);
  return {images.data_ptr<float>() + slot * size, static_cast<std::size_t>(size)};
}

}  // namespace

std::span<float> DraftBatch::picture(std::int64_t slot) { return picture_of(image, slot); }

std::vector<std::span<float>> DraftBatch::pictures(std::int64_t slot) {
  std::vector<std::span<float>> all = {picture_of(image, slot)};
  for (const at::Tensor& images : further_images) all.push_back(picture_of(images, slot));
  return all;
}

BatchQueue::BatchQueue(std::int64_t workers, std::int64_t prefetch, Open open, Make make)
    : workers_(workers > 0 ? workers : std::max<std::int64_t>(1, std::thread::hardware_concurrency())),
      prefetch_(static_cast<std::size_t>(std::max<std::int64_t>(1, prefetch))),
      open_(std::move(open)),
      make_(std::move(make)) {}

BatchQueue::~BatchQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_to_do_.notify_all();
  threads_.clear();  // joins, before anything they use goes
}

void BatchQueue::seek(std::int64_t number) {
  {
    const std::lock_guard lock(mutex_);
    entries_.clear();  // a worker still busy with one keeps it until its sample is done
    next_number_ = number;
    past_last_ = false;
  }
  work_to_do_.notify_all();
}

bool BatchQueue::ready(std::chrono::milliseconds patience) {
  start_workers();
  std::unique_lock lock(mutex_);
  return batch_done_.wait_for(lock, patience, [&] { return front_is_made(); });
}

std::unique_ptr<DraftBatch> BatchQueue::next() {
  start_workers();
  std::unique_lock lock(mutex_);
  batch_done_.wait(lock, [&] { return front_is_made(); });
  if (entries_.empty()) return nullptr;
  const std::shared_ptr<Entry> entry = std::move(entries_.front());
  entries_.pop_front();
  lock.unlock();
  work_to_do_.notify_all();
  if (entry->failure) std::rethrow_exception(entry->failure);
  return std::move(entry->batch);
}

void BatchQueue::start_workers() {
  while (static_cast<std::int64_t>(threads_.size()) < workers_) threads_.emplace_back([this] { work(); });
}

bool BatchQueue::may_open() const { return !past_last_ && entries_.size() < prefetch_; }

std::shared_ptr<BatchQueue::Entry> BatchQueue::claim() {
  if (!entries_.empty() && entries_.back()->claimed < entries_.back()->size()) return entries_.back();
  if (!may_open()) return nullptr;
  auto entry = std::make_shared<Entry>();
  try {
    entry->batch = open_(next_number_);
    past_last_ = !entry->batch;
  } catch (...) {
    entry->failure = std::current_exception();
    past_last_ = true;  // nothing sensible can follow
  }
  ++next_number_;
  if (entry->batch || entry->failure) entries_.push_back(entry);
  if (entry->size() > 0) return entry;
  batch_done_.notify_all();
  return nullptr;
}

void BatchQueue::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::shared_ptr<Entry> entry = claim();
    if (!entry) {
      work_to_do_.wait(lock);
      continue;
    }
    const std::int64_t slot = entry->claimed++;
    lock.unlock();
    std::exception_ptr failure;
    try {
      make_(*entry->batch, slot);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && (!entry->failure || slot < entry->failed_slot)) {
      entry->failure = failure;
      entry->failed_slot = slot;
    }
    if (++entry->finished == entry->size()) batch_done_.notify_all();
  }
}

}  // namespace vicha
