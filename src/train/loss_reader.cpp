#include "train/loss_reader.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>
#include <utility>

#include "base/error.h"

namespace vicha {

std::optional<std::pair<std::string, double>> first_not_finite(const NamedValues& values) {
  for (const auto& named : values) {
    if (!std::isfinite(named.second)) return named;
  }
  return std::nullopt;
}

at::Tensor LossReader::to_host(const at::Tensor& scalars) const {
  return scalars.detach().to(at::kDouble).to(at::kCPU, /*non_blocking=*/true);
}

void LossReader::add(const Losses& losses) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> scalars{losses.total.reshape({})};
  std::vector<std::string> loss_names{"total"}, measure_names;
  for (const auto& [name, value] : losses.terms) {
    loss_names.push_back(name);
    scalars.push_back(value.reshape({}));
  }
  for (const auto& [name, value] : losses.measures) {
    measure_names.push_back(name);
    scalars.push_back(value.reshape({}));
  }
  VICHA_ASSERT(open_.values.empty() || (open_.losses == loss_names && open_.measures == measure_names));
  open_.losses = std::move(loss_names);
  open_.measures = std::move(measure_names);
  for (at::Tensor& scalar : scalars) scalar = scalar.detach().to(losses.total.device());
  open_.values.push_back(at::stack(scalars).to(at::kDouble));
}

void LossReader::add_measure(const std::string& name, const at::Tensor& scalar) {
  open_.step_measures.push_back(name);
  open_.step_values.push_back(to_host(scalar));
}

NamedValues LossReader::last_losses() const {
  VICHA_ASSERT(device_.is_cpu());
  NamedValues values;
  const double* v = open_.values.back().const_data_ptr<double>();
  for (std::size_t i = 0; i < open_.losses.size(); ++i) values.emplace_back(open_.losses[i], v[i]);
  return values;
}

void LossReader::close(StepRecord record) {
  open_.record = std::move(record);
  group_.all_reduce_mean(open_.values);
  for (at::Tensor& values : open_.values) values = to_host(values);
  if (!device_.is_cpu()) {
    open_.copied = std::make_unique<c10::Event>(device_.type());
    open_.copied->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
  closed_.push_back(std::exchange(open_, {}));
}

StepRecord LossReader::read(Step& step) {
  if (step.copied) step.copied->synchronize();
  const std::size_t losses = step.losses.size(), measures = step.measures.size();
  std::vector<double> means(losses + measures);
  for (const at::Tensor& values : step.values) {
    for (std::size_t i = 0; i < means.size(); ++i) means[i] += values.const_data_ptr<double>()[i];
  }
  for (double& mean : means) mean /= static_cast<double>(step.values.size());
  StepRecord record = std::move(step.record);
  for (std::size_t i = 0; i < losses; ++i) record.losses.emplace_back(step.losses[i], means[i]);
  for (std::size_t i = 0; i < measures; ++i) record.measures.emplace_back(step.measures[i], means[losses + i]);
  for (std::size_t i = 0; i < step.step_values.size(); ++i) {
    record.measures.emplace_back(step.step_measures[i], step.step_values[i].item<double>());
  }
  return record;
}

std::vector<StepRecord> LossReader::take(bool wait) {
  std::vector<StepRecord> records;
  while (closed_.size() > (wait || device_.is_cpu() ? 0u : 1u)) {
    records.push_back(read(closed_.front()));
    closed_.pop_front();
  }
  return records;
}

}  // namespace vicha
