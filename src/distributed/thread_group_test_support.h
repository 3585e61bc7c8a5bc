// A group of threads of this process, to test what several processes do together. Sums go in the order of ranks.
#pragma once

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "distributed/group.h"

namespace vicha {

/// Where the threads meet: each lays its tensors down, all look at everybody's, and all leave together.
class ThreadMeeting {
 public:
  explicit ThreadMeeting(std::int64_t size) : offers_(static_cast<std::size_t>(size)) {}

  struct Offer {
    std::string operation;
    std::vector<at::Tensor> tensors;  ///< held, so that one who leaves by an exception takes nothing away
  };

  /// `look` may read the offers, and the tensors in them; they may be changed once this has returned.
  void meet(std::int64_t rank, Offer offer, const std::function<void(const std::vector<Offer>&)>& look) {
    {
      std::unique_lock lock(mutex_);
      offers_[static_cast<std::size_t>(rank)] = std::move(offer);
      wait(lock);
    }
    for (const Offer& other : offers_) require_same(offers_.front(), other);
    look(offers_);
    std::unique_lock lock(mutex_);
    wait(lock);
  }

  /// A member that has ended meets nobody any more; `why` is empty if it ended well. The first one is remembered.
  void leave(std::int64_t rank, const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (left_.empty())
      left_ = fmt::format("process {} of the group has {}", rank, why.empty() ? "ended" : "failed: " + why);
    all_here_.notify_all();
  }

  std::int64_t size() const { return static_cast<std::int64_t>(offers_.size()); }

 private:
  static void require_same(const Offer& a, const Offer& b) {
    bool same = a.operation == b.operation && a.tensors.size() == b.tensors.size();
    for (std::size_t i = 0; same && i < a.tensors.size(); ++i) {
      same = a.tensors[i].sizes() == b.tensors[i].sizes() && a.tensors[i].scalar_type() == b.tensors[i].scalar_type();
    }
    if (!same)
      throw std::logic_error("the ranks call " + a.operation + " and " + b.operation + ", or with other shapes");
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    const std::int64_t meeting = meeting_;
    if (left_.empty() && ++here_ == size()) {
      here_ = 0;
      ++meeting_;
      all_here_.notify_all();
      return;
    }
    all_here_.wait(lock, [&] { return meeting_ != meeting || !left_.empty(); });
    if (meeting_ == meeting) throw Error(left_);
  }

  std::mutex mutex_;
  std::condition_variable all_here_;
  std::vector<Offer> offers_;
  std::int64_t here_ = 0, meeting_ = 0;
  std::string left_;
};

class ThreadGroup final : public Group {
 public:
  ThreadGroup(ThreadMeeting& meeting, std::int64_t rank) : meeting_(meeting), rank_(rank) {}
  std::int64_t rank() const override { return rank_; }
  std::int64_t size() const override { return meeting_.size(); }

 private:
  using Offers = std::vector<ThreadMeeting::Offer>;

  void sum(at::TensorList tensors) const override {
    std::vector<at::Tensor> sums;
    meeting_.meet(rank_, {"all_reduce", tensors.vec()}, [&](const Offers& offers) {
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        sums.push_back(offers[0].tensors[i].clone());
        for (std::size_t r = 1; r < offers.size(); ++r) sums.back().add_(offers[r].tensors[i]);
      }
    });
    for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].copy_(sums[i]);
  }
  at::Tensor gather(const at::Tensor& tensor) const override {
    at::Tensor all;
    meeting_.meet(rank_, {"all_gather", {tensor}}, [&](const Offers& offers) {
      std::vector<at::Tensor> parts;
      for (const auto& offer : offers) parts.push_back(offer.tensors[0]);
      all = at::cat(parts);
    });
    return all;
  }
  void send_from(std::int64_t root, const at::Tensor& tensor) const override {
    at::Tensor sent;
    meeting_.meet(rank_, {fmt::format("broadcast from {}", root), {tensor}},
                  [&](const Offers& offers) { sent = offers[static_cast<std::size_t>(root)].tensors[0].clone(); });
    tensor.copy_(sent);
  }
  void wait_for_all() const override {
    meeting_.meet(rank_, {"barrier", {}}, [](const Offers&) {});
  }

  ThreadMeeting& meeting_;
  std::int64_t rank_;
};

/// Runs `body(group)` on `size` threads, one a rank. What each threw, by rank: "" where it ended well.
inline std::vector<std::string> run_ranks(std::int64_t size, const std::function<void(const Group&)>& body) {
  ThreadMeeting meeting(size);
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  {
    std::vector<std::jthread> threads;
    for (std::int64_t rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        std::string& error = errors[static_cast<std::size_t>(rank)];
        try {
          body(ThreadGroup(meeting, rank));
        } catch (const std::exception& e) {
          error = e.what();
          if (error.empty()) error = "an exception without a message";
        }
        meeting.leave(rank, error);
      });
    }
  }
  return errors;
}

}  // namespace vicha
