#include "checkpoint/names/wrapper.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

// A tensor that each known kind of model has, wholes before their parts.
constexpr std::string_view kAnchors[] = {
    "visual_encoder.patch_embed.proj.weight",          // ViCHA, ALBEF
    "vision_model.embeddings.patch_embedding.weight",  // Hugging Face's CLIP
    "visual.conv1.weight",                             // OpenAI's CLIP
    "bert.embeddings.word_embeddings.weight",
    "vit.embeddings.patch_embeddings.projection.weight",
    "deit.embeddings.patch_embeddings.projection.weight",
    "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.weight",
    "embeddings.word_embeddings.weight",
};

// Which of several models is meant for use.
constexpr std::string_view kPreferred[] = {"model.", "net.", "backbone.", "module.", "teacher.", "base_encoder."};

std::set<std::string> prefixes_of(const StateDict& tensors, std::string_view anchor) {
  std::set<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(anchor)) continue;
    const std::string_view prefix = std::string_view(name).substr(0, name.size() - anchor.size());
    if (prefix.empty() || prefix.ends_with('.')) prefixes.emplace(prefix);
  }
  return prefixes;
}

/// Quoted, the prefixes under which the file has further models of the kind that lies under `taken`.
std::vector<std::string> other_models(const StateDict& tensors, const std::string& taken) {
  std::vector<std::string> others;
  for (const std::string_view anchor : kAnchors) {
    const std::set<std::string> prefixes = prefixes_of(tensors, anchor);
    if (!prefixes.contains(taken)) continue;
    for (const std::string& prefix : prefixes) {
      if (prefix != taken) others.push_back(in_quotes(prefix));
    }
    break;
  }
  return others;
}

}  // namespace

std::optional<std::string> wrapper_prefix(const StateDict& tensors, std::string_view where) {
  for (const std::string_view anchor : kAnchors) {
    const std::set<std::string> prefixes = prefixes_of(tensors, anchor);
    if (prefixes.empty()) continue;
    if (prefixes.size() == 1 || prefixes.begin()->empty()) return *prefixes.begin();
    for (const std::string_view preferred : kPreferred) {
      const auto at = std::ranges::find_if(prefixes, [&](const std::string& p) { return p.starts_with(preferred); });
      if (at != prefixes.end()) return *at;
    }
    throw DataError(where,
                    "holds several models, under " + in_quotes(*prefixes.begin()) + " and " +
                        in_quotes(*std::next(prefixes.begin())) + ", and nothing says which is meant",
                    "Load it in Python and save the one that is meant, without that prefix");
  }
  return std::nullopt;
}

StateDict without_wrapper(const StateDict& tensors, std::string_view where, RenameReport* report) {
  const std::optional<std::string> prefix = wrapper_prefix(tensors, where);
  if (!prefix || prefix->empty()) return tensors;
  StateDict model;
  std::size_t beside = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(*prefix)) {
      model.set(name.substr(prefix->size()), tensor);
      continue;
    }
    ++beside;
    if (report != nullptr)
      report->dropped.push_back({name, "beside the model, which lies under " + in_quotes(*prefix)});
  }
  const std::vector<std::string> others = other_models(tensors, *prefix);
  if (others.empty()) {
    log::info("{}: the model lies under {}; {} tensors beside it are left aside", where, in_quotes(*prefix), beside);
  } else {
    log::warning(
        "{}: holds several models; that under {} is taken, not that under {}. Where another is meant, load the file in "
        "Python and save it alone",
        where, in_quotes(*prefix), fmt::format("{}", fmt::join(others, ", ")));
  }
  return model;
}

}  // namespace vicha
