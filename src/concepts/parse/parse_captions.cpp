#include "concepts/parse/parse_captions.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace vicha {
namespace {

constexpr std::size_t kJobsPerThread = 64;
constexpr std::size_t kLongestCached = 1000;  // bytes; longer captions do not repeat
constexpr std::size_t kLocks = 64;

}  // namespace

// The captions that were parsed last, each in the one place that its hash gives it.
class CaptionParsers::Cache {
 public:
  explicit Cache(std::size_t places) : places_(places) {}

  std::shared_ptr<const SceneGraph> find(const std::string& caption) {
    if (!holds(caption)) return nullptr;
    const std::size_t place = place_of(caption);
    const std::lock_guard lock(locks_[place % kLocks]);
    return places_[place].caption == caption ? places_[place].graph : nullptr;
  }

  void keep(const std::string& caption, const std::shared_ptr<const SceneGraph>& graph) {
    if (!holds(caption)) return;
    const std::size_t place = place_of(caption);
    const std::lock_guard lock(locks_[place % kLocks]);
    places_[place] = {caption, graph};
  }

 private:
  bool holds(const std::string& caption) const { return !places_.empty() && caption.size() <= kLongestCached; }
  std::size_t place_of(const std::string& caption) const { return std::hash<std::string>()(caption) % places_.size(); }

  struct Place {
    std::string caption;
    std::shared_ptr<const SceneGraph> graph;
  };
  std::vector<Place> places_;
  std::array<std::mutex, kLocks> locks_;
};

CaptionParsers::CaptionParsers(const ParseOptions& options, Take take)
    : options_(options),
      take_(std::move(take)),
      cache_(std::make_unique<Cache>(options.cached)),
      keeps_dictionary_(options.graph) {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t threads = options.threads > 0 ? static_cast<std::size_t>(options.threads) : cores;
  most_jobs_ = threads * kJobsPerThread;
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

CaptionParsers::~CaptionParsers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_to_do_.notify_all();
  threads_.clear();  // joins
}

void CaptionParsers::push(std::string caption) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return failure_ || jobs_.size() < most_jobs_; });
  if (failure_) std::rethrow_exception(failure_);
  jobs_.push_back(std::make_shared<Job>(Job{std::move(caption), nullptr}));
  ++unclaimed_;
  work_to_do_.notify_one();
}

void CaptionParsers::finish() {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return failure_ || (jobs_.empty() && !handing_over_); });
  if (failure_) std::rethrow_exception(failure_);
}

std::shared_ptr<const SceneGraph> CaptionParsers::parse(SceneGraphParser& parser, const std::string& caption) {
  if (auto kept = cache_->find(caption)) return kept;
  auto graph = std::make_shared<const SceneGraph>(parser.parse(caption));
  cache_->keep(caption, graph);
  return graph;
}

void CaptionParsers::work() {
  std::unique_ptr<SceneGraphParser> parser;
  std::unique_lock lock(mutex_);
  while (true) {
    work_to_do_.wait(lock, [&] { return stopping_ || failure_ || unclaimed_ > 0; });
    if (stopping_ || failure_) return;
    const std::shared_ptr<Job> job = jobs_[jobs_.size() - unclaimed_--];
    lock.unlock();
    std::shared_ptr<const SceneGraph> graph;
    std::exception_ptr failure;
    try {
      if (!parser) parser = std::make_unique<SceneGraphParser>(options_.graph);
      graph = parse(*parser, job->caption);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    job->graph = std::move(graph);
    if (failure && !failure_) failure_ = failure;
    if (!failure_) hand_over(lock);
    if (failure_) {
      room_.notify_all();
      work_to_do_.notify_all();
    }
  }
}

// By whichever thread has parsed what comes next, while the others go on.
void CaptionParsers::hand_over(std::unique_lock<std::mutex>& lock) {
  if (handing_over_) return;
  handing_over_ = true;
  while (!stopping_ && !failure_ && !jobs_.empty() && jobs_.front()->graph) {
    const std::shared_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      take_(job->caption, *job->graph);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !failure_) failure_ = failure;
    room_.notify_all();
  }
  handing_over_ = false;
  room_.notify_all();
}

}  // namespace vicha
