// The small world of pretraining's tests with two towers as they are downloaded: the fixtures' ViT, and a BERT that is
// drawn here.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>

#include "base/error.h"
#include "checkpoint/safetensors/safetensors.h"
#include "tasks/align/align_run.h"
#include "tasks/pretrain/colour_world_test.h"
#include "towers/bert_tower.h"

namespace vicha {

class AlignWorld : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    write_vit("vit");
    write_bert("bert");
  }

  void write_vit(const std::string& name, double times = 1) const {
    const fs::path golden = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/towers", to = folder_ / name;
    fs::create_directories(to);
    fs::copy_file(golden / "vit_tiny_hf.config.json", to / "config.json");
    StateDict weights;
    for (const auto& [key, tensor] : read_safetensors(golden / "vit_tiny_hf.safetensors"))
      weights.set(key, tensor * times);
    write_safetensors(to / "model.safetensors", weights);
  }

  /// Of the words in vocab.txt, pooled by their mean.
  void write_bert(const std::string& name, std::uint64_t seed = 5) const {
    const std::string vocabulary = read_file(folder_ / "vocab.txt");
    const std::int64_t words = std::ranges::count(vocabulary, '\n');
    BertTower::Options o;
    o.bert.vocabulary = words;
    o.bert.max_positions = 12;
    o.bert.width = 32;
    o.bert.heads = 4;
    o.bert.inner = 48;
    o.bert.text_layers = 2;
    o.bert.fusion_layers = 0;
    o.max_tokens = 12;
    const BertTower tower(o, seed);
    const at::NoGradGuard guard;
    StateDict weights;
    for (const ParameterStore::Released& r : tower.parameters().released()) {
      std::string key = r.name;
      if (const auto at = key.find("text_encoder.bert."); at == 0)
        key.erase(0, std::string("text_encoder.bert.").size());
      weights.set(key, tower.parameters().view(r) * 4);
    }
    const fs::path to = folder_ / name;
    fs::create_directories(to / "1_Pooling");
    write_safetensors(to / "model.safetensors", weights);
    write_file_atomic(to / "config.json",
                      fmt::format(R"({{"model_type": "bert", "hidden_size": 32, "num_attention_heads": 4,
      "num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": {}, "max_position_embeddings": 12}})",
                                  words));
    write_file_atomic(to / "modules.json", R"([
      {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
      {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])");
    write_file_atomic(to / "1_Pooling/config.json", R"({"word_embedding_dimension": 32, "pooling_mode_cls_token": false,
      "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false})");
    fs::copy_file(folder_ / "vocab.txt", to / "vocab.txt");
  }

  AlignRecipe align_recipe() const {
    AlignRecipe r;
    r.align.embed_dim = 16;
    r.align.contrast.tile = 16;
    r.features.image_tower = "vit:" + (folder_ / "vit").string();
    r.features.text_tower = (folder_ / "bert").string();
    r.data.manifests = {(folder_ / "train.json").string()};
    r.batch.batch_size = 16;
    r.training.length.max_steps = 90;
    r.training.length.precision = Precision::kFp32;
    r.training.optimizer.lr = 5e-3;
    r.training.checkpoint = {.every_steps = 30, .every_epochs = 0, .keep = 0};
    r.training.log.tensorboard = false;
    r.eval.manifest = (folder_ / "test.json").string();
    return r;
  }

  RunResult run_align(AlignRecipe r, const std::string& out, bool allow_changed_data = false) const {
    r.finish();
    return align({r, folder_ / out, ResumeChoice(), "cpu", allow_changed_data});
  }

  template <class Wanted = DataError>
  static std::string refusal_of(const std::function<void()>& act) {
    try {
      act();
    } catch (const Wanted& error) {
      return error.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return "";
  }
  static testing::AssertionResult says(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "\"" << text << "\" does not say \"" << part << "\"";
  }
};

}  // namespace vicha
