#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "cli/concepts.h"
#include "cli/options.h"
#include "concepts/store/store.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha::cli {
namespace {

namespace fs = std::filesystem;

std::string in_blocks(const EmbeddingStore& store) {
  return fmt::format("{} {}", store.blocks(), store.blocks() == 1 ? "block" : "blocks");
}

struct Summary {
  explicit Summary(const EmbeddingStore& store)
      : store(store), images(static_cast<std::int64_t>(store.newest().size())) {}

  std::string json() const {
    const auto& shape = store.shape();
    nlohmann::ordered_json json{{"path", store.path().string()},
                                {"source", nlohmann::ordered_json::parse(to_json(store.source()))},
                                {"vectors", shape.vectors},
                                {"width", shape.width},
                                {"type", to_string(shape.type)},
                                {things(), images},
                                {"records", store.size()},
                                {"blocks", store.blocks()},
                                {"bytes", fs::file_size(store.path())},
                                {"lost_bytes", store.lost_bytes()}};
    if (shape.layout) json["features"] = shape.layout->describe();
    return json_text(json) + "\n";
  }
  std::string text() const {
    const auto& shape = store.shape();
    std::string text =
        fmt::format("{}\n  source    {}\n  shape     {} x {} {}\n  {:<9} {}", store.path().string(),
                    store.source().describe(), shape.vectors, shape.width, to_string(shape.type), things(), images);
    if (images != store.size()) text += fmt::format(" ({} records, older ones included)", store.size());
    if (shape.layout) text += fmt::format("\n  features  {}", shape.layout->describe());
    text += fmt::format("\n  size      {} bytes in {}\n", fs::file_size(store.path()), in_blocks(store));
    if (store.lost_bytes() > 0) {
      text += fmt::format("  lost      {} bytes of a last block that is not whole\n", store.lost_bytes());
    }
    return text;
  }

  std::string_view things() const {
    const auto& layout = store.shape().layout;
    return layout && layout->kind == FeatureKind::kTexts ? "texts" : "pictures";
  }

  const EmbeddingStore& store;
  std::int64_t images;
};

void add_show(CLI::App& store, Action& chosen) {
  struct Given {
    std::vector<fs::path> files;
    bool json = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = store.add_subcommand("show", "Source, shape and size");
  command->add_option("STORE", given->files)->required();
  command->add_flag("--json", given->json, "Print JSON, a line each");
  command->callback([given, &chosen] {
    chosen = [given] {
      for (const fs::path& file : given->files) {
        const EmbeddingStore store = EmbeddingStore::open(file);
        given->json ? print_json(Summary(store).json()) : print(Summary(store).text());
      }
      return 0;
    };
  });
}

void add_verify(CLI::App& store, Action& chosen) {
  const auto files = std::make_shared<std::vector<fs::path>>();
  CLI::App* command = store.add_subcommand("verify", "Read everything and check all sums");
  command->add_option("STORE", *files)->required();
  command->callback([files, &chosen] {
    chosen = [files] {
      for (const fs::path& file : *files) {
        const EmbeddingStore store = EmbeddingStore::open(file);
        store.verify();
        print(fmt::format("{}: {} {} in {} verified{}\n", file.string(), store.size(),
                          store.size() == 1 ? "record" : "records", in_blocks(store),
                          store.lost_bytes() == 0
                              ? ""
                              : fmt::format("; {} bytes of an unfinished block are passed over", store.lost_bytes())));
      }
      return 0;
    };
  });
}

void add_export(CLI::App& store, Action& chosen) {
  struct Given {
    fs::path from, to;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = store.add_subcommand("export", "Write as .safetensors, or as .npy and NAME.keys.txt");
  command->add_option("STORE", given->from)->required();
  command->add_option("OUT", given->to)->required();
  command->callback([given, &chosen] {
    chosen = [given] {
      export_store(EmbeddingStore::open(given->from), given->to);
      return 0;
    };
  });
}

SourceWeights import_source(const fs::path& in, const std::string& source, const fs::path& like) {
  if (!source.empty()) return open_concept_source(source)->weights();
  if (!like.empty()) return EmbeddingStore::open(like).source();
  if (const auto named = exported_source(in)) return *named;
  throw UsageError(in.string() + " does not say what computed these embeddings: give --source or --like");
}

void add_import(CLI::App& store, Action& chosen) {
  struct Given {
    fs::path from, to, like;
    std::string source;
    StoreType type = StoreType::kFloat16;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = store.add_subcommand("import", "Read .safetensors, or .npy and NAME.keys.txt, into a store");
  command->add_option("IN", given->from)->required();
  command->add_option("STORE", given->to, "New, or of the same source: then it is added to")->required();
  CLI::Option* source = command->add_option(
      "--source", given->source, fmt::format("What computed them: {} (default: as IN says)", concept_source_forms()));
  command->add_option("--like", given->like, "A store whose source computed them")->excludes(source);
  add_precision(*command, given->type, "Of the stored numbers: fp16 or fp32");
  command->callback([given, &chosen] {
    chosen = [given] {
      std::error_code ignored;
      if (fs::equivalent(given->like, given->to, ignored)) go_on_with(given->to);
      import_store(given->from, given->to, import_source(given->from, given->source, given->like), given->type);
      print(Summary(EmbeddingStore::open(given->to)).text());
      return 0;
    };
  });
}

void add_merge(CLI::App& store, Action& chosen) {
  struct Given {
    std::vector<fs::path> inputs;
    fs::path out;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command =
      store.add_subcommand("merge", "Several stores of one source into one; where two hold a picture, the last counts");
  command->add_option("STORE", given->inputs)->required();
  command->add_option("--out", given->out, "New, or of the same source: then it is added to")->required();
  command->callback([given, &chosen] {
    chosen = [given] {
      merge_stores(given->inputs, given->out);
      print(Summary(EmbeddingStore::open(given->out)).text());
      return 0;
    };
  });
}

}  // namespace

void add_concepts_store(CLI::App& group, Action& chosen) {
  CLI::App* store = group.add_subcommand("store", "Embedding stores")->require_subcommand(1);
  add_show(*store, chosen);
  add_verify(*store, chosen);
  add_export(*store, chosen);
  add_import(*store, chosen);
  add_merge(*store, chosen);
}

}  // namespace vicha::cli
