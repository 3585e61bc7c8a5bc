#include "models/named_weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "checkpoint/names/load_report.h"

namespace vicha {

std::string shape_text(at::IntArrayRef shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

const at::Tensor& shaped(const StateDict& named, const std::string& name, std::int64_t dimensions,
                         std::string_view where) {
  const at::Tensor& tensor = named.at(name, where);
  if (tensor.dim() != dimensions || tensor.numel() == 0) {
    throw DataError(where, fmt::format("'{}' has the shape {}, not one of {} dimensions", name,
                                       shape_text(tensor.sizes()), dimensions));
  }
  return tensor;
}

void fill_parameters(const ParameterStore& store, const StateDict& named, std::string_view where,
                     std::string_view remedy) {
  NamedTensors targets;
  for (const Parameter& parameter : store.parameters()) targets.emplace_back(parameter.name, parameter.value);
  LoadPolicy policy;
  policy.where = where;
  policy.remedy = remedy;
  load_into(targets, named, policy);
}

}  // namespace vicha
