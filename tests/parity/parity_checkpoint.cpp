// Groups `pth` and `safetensors_bad`: odd and hostile files, each with what a reader has to make of it.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/safetensors/safetensors.h"
#include "checkpoint/tensors/dtypes.h"
#include "report.h"

namespace vicha::parity {
namespace {

using Json = nlohmann::json;

std::string digest(const at::Tensor& tensor) {
  const at::Tensor data = tensor.contiguous();
  return sha256_hex({static_cast<const char*>(data.const_data_ptr()), static_cast<std::size_t>(data.nbytes())});
}

void compare(const std::string& what, const at::Tensor& ours, const Json& expected, Report& report) {
  report.expect(what, ours.defined() && find_dtype(ours.scalar_type())->torch == expected["dtype"].get<std::string>() &&
                          ours.sizes().vec() == expected["shape"].get<std::vector<std::int64_t>>() &&
                          digest(ours) == expected["sha256"].get<std::string>());
}

/// Reads the file; false if it was refused. Anything but a DataError is a failure of ours and goes up.
template <class Read>
bool accepted(const fs::path& file, Report& report, const Read& read) {
  try {
    read();
    return true;
  } catch (const DataError& error) {
    report.expect(file.filename().string() + ": the message names the file",
                  std::string(error.what()).find(file.filename().string()) != std::string::npos);
    return false;
  }
}

/// "refuse_preferred" and "accept_or_refuse" leave the choice; ours is to refuse what has no honest use.
bool right_choice(const std::string& expect, bool accepted) {
  if (expect == "accept") return accepted;
  if (expect == "refuse" || expect == "refuse_preferred") return !accepted;
  return true;
}

void check_values(const std::string& file, const PickleValue& root, const Json& expected, Report& report) {
  const StateDict tensors = flatten_tensors(root);
  if (expected.contains("tensors")) {
    for (const auto& [name, tensor] : expected["tensors"].items()) {
      compare(file + ": " + name, tensors.find(name), tensor, report);
    }
  }
  if (expected.contains("optimizer_tensors")) {
    for (const auto& [name, sha256] : expected["optimizer_tensors"].items()) {
      const at::Tensor tensor = tensors.find("optimizer." + name);
      report.expect(file + ": optimizer." + name, tensor.defined() && digest(tensor) == sha256.get<std::string>());
    }
  }
  if (expected.contains("epoch")) {
    const PickleValue* epoch = root.find("epoch");
    report.expect(file + ": epoch",
                  epoch && epoch->get_if<std::int64_t>() && *epoch->get_if<std::int64_t>() == expected["epoch"]);
  }
  if (expected.contains("count")) {
    report.expect(file + ": count", tensors.size() == expected["count"].get<std::size_t>());
    for (const auto& [name, tensor] : tensors) {
      report.expect(file + ": " + name, tensor.numel() == 1 && tensor.item<double>() == std::stod(name.substr(1)));
    }
  }
}

}  // namespace

void check_pth(const fs::path& folder, Report& report) {
  const Json expected = Json::parse(read_file(folder / "pth" / "expected.json"));
  for (const auto& [name, entry] : expected.items()) {
    const fs::path file = folder / "pth" / name;
    PickleValue root;
    const bool ok = accepted(file, report, [&] { root = read_pth(file); });
    report.expect(name + ": " + entry["expect"].get<std::string>(), right_choice(entry["expect"], ok));
    if (ok) check_values(name, root, entry, report);
  }
  report.close("pth");
}

void check_safetensors_bad(const fs::path& folder, Report& report) {
  const Json expected = Json::parse(read_file(folder / "safetensors_bad" / "expected.json"));
  for (const auto& [name, entry] : expected.items()) {
    const fs::path file = folder / "safetensors_bad" / name;
    for (const bool map : {false, true}) {
      StateDict tensors;
      const bool ok = accepted(file, report, [&] { tensors = read_safetensors(file, nullptr, map); });
      report.expect(name + ": " + entry["expect"].get<std::string>(), right_choice(entry["expect"], ok));
      if (!ok || !entry.contains("values")) continue;
      report.expect(name + ": count", tensors.size() == entry["values"].size());
      for (const auto& [tensor_name, tensor] : entry["values"].items()) {
        compare(name + ": " + tensor_name, tensors.find(tensor_name), tensor, report);
      }
    }
  }
  report.close("safetensors_bad");
}

}  // namespace vicha::parity
