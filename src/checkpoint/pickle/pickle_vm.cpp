#include "checkpoint/pickle/pickle_vm.h"

#include <bit>
#include <cstring>

#include "checkpoint/pickle/pickle_tree.h"

namespace vicha::pickle {
namespace {

constexpr std::size_t kMaxPickle = 128 << 20;  // the pickle of a full-size checkpoint has less than 1 MB

constexpr std::size_t kMaxMarks = 1 << 16;

// The instructions, by the letters that the format gives them.
constexpr unsigned char kMark = '(', kStop = '.', kPop = '0', kPopMark = '1', kDup = '2', kBinFloat = 'G',
                        kBinInt = 'J', kBinInt1 = 'K', kBinInt2 = 'M', kNone = 'N', kBinPersid = 'Q', kReduce = 'R',
                        kBinString = 'T', kShortBinString = 'U', kBinUnicode = 'X', kAppend = 'a', kBuild = 'b',
                        kDict = 'd', kEmptyDict = '}', kAppends = 'e', kBinGet = 'h', kLongBinGet = 'j', kList = 'l',
                        kEmptyList = ']', kObj = 'o', kBinPut = 'q', kLongBinPut = 'r', kSetItem = 's', kTuple = 't',
                        kEmptyTuple = ')', kSetItems = 'u', kProto = 0x80, kNewObj = 0x81, kTuple1 = 0x85,
                        kTuple3 = 0x87, kNewTrue = 0x88, kNewFalse = 0x89, kLong1 = 0x8a, kLong4 = 0x8b,
                        kBinBytes = 'B', kShortBinBytes = 'C', kShortBinUnicode = 0x8c, kBinUnicode8 = 0x8d,
                        kBinBytes8 = 0x8e, kEmptySet = 0x8f, kAddItems = 0x90, kFrozenSet = 0x91, kNewObjEx = 0x92,
                        kStackGlobal = 0x93, kMemoize = 0x94, kFrame = 0x95, kByteArray8 = 0x96;

}  // namespace

PickleValue Machine::run(std::size_t* consumed) {
  const Ref result = execute();
  if (consumed != nullptr) *consumed = at_;
  return TreeBuilder(nodes_, tensors_, extras_, [this](const std::string& what) { fail(what); }).run(result);
}

Ref Machine::execute() {
  while (true) {
    if (at_ >= data_.size()) fail("ends without its end mark: the file is cut off");
    if (at_ > kMaxPickle) fail("is larger than 128 MiB");
    const auto opcode = static_cast<unsigned char>(data_[at_++]);
    if (opcode == kStop) return pop();
    if (!step(opcode) && !step_text(opcode)) {
      fail("has an instruction that this reader does not know (byte " + std::to_string(opcode) + ")");
    }
  }
}

bool Machine::step(unsigned char opcode) {
  switch (opcode) {
    case kProto:
      if (number(1) > 5) fail("has a protocol newer than 5");
      break;
    case kFrame:
      if (number(8) > data_.size() - at_) fail("has a frame longer than the data: the file is cut off");
      break;
    case kMark:
      spend(2 * sizeof(std::size_t));
      if (marks_.size() >= kMaxMarks) fail("opens more than 65,536 groups");
      marks_.push_back(stack_.size());
      break;
    case kPop:
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        pop();
      }
      break;
    case kPopMark:
      stack_.resize(pop_mark());
      break;
    case kDup:
      push(top());
      break;
    case kNone:
      push(Ref{});
      break;
    case kNewTrue:
    case kNewFalse: {
      Ref ref{Ref::Tag::kBool, {}};
      ref.integer = opcode == kNewTrue;
      push(ref);
      break;
    }
    case kBinInt:
      push_int(static_cast<std::int32_t>(number(4)));
      break;
    case kBinInt1:
      push_int(static_cast<std::int64_t>(number(1)));
      break;
    case kBinInt2:
      push_int(static_cast<std::int64_t>(number(2)));
      break;
    case kLong1:
      push_long(take(number(1)));
      break;
    case kLong4:
      push_long(take(number(4)));
      break;
    case kBinFloat: {
      const std::string_view big_endian = take(8);
      std::uint64_t bits = 0;
      for (const char byte : big_endian) bits = bits << 8 | static_cast<unsigned char>(byte);
      Ref ref{Ref::Tag::kDouble, {}};
      ref.real = std::bit_cast<double>(bits);
      push(ref);
      break;
    }
    case kShortBinUnicode:
      push_text(take(number(1)));
      break;
    case kBinUnicode:
      push_text(take(number(4)));
      break;
    case kBinUnicode8:
      push_text(take(number(8)));
      break;
    case kShortBinString:
      push_python2_text(take(number(1)));
      break;
    case kBinString:
      push_python2_text(take(number(4)));
      break;
    case kShortBinBytes:
      push_node({.kind = Kind::kBytes, .text = take(number(1))});
      break;
    case kBinBytes:
      push_node({.kind = Kind::kBytes, .text = take(number(4))});
      break;
    case kBinBytes8:
    case kByteArray8:
      push_node({.kind = Kind::kBytes, .text = take(number(8))});
      break;
    case kEmptyTuple:
      push_tuple(stack_.size());
      break;
    case kTuple1:
    case kTuple1 + 1:
    case kTuple3: {
      const std::size_t count = opcode - kTuple1 + 1;
      need(count);
      push_tuple(stack_.size() - count);
      break;
    }
    case kTuple:
      push_tuple(pop_mark());
      break;
    case kList:
      push_tuple(pop_mark(), Kind::kList);
      break;
    case kFrozenSet:
      push_tuple(pop_mark(), Kind::kSet);
      break;
    case kEmptyList:
      push_tuple(stack_.size(), Kind::kList);
      break;
    case kEmptySet:
      push_tuple(stack_.size(), Kind::kSet);
      break;
    case kEmptyDict:
      push_tuple(stack_.size(), Kind::kDict);
      break;
    case kDict: {
      const std::size_t from = pop_mark();
      if ((stack_.size() - from) % 2 != 0) fail("has a key without a value");
      push_tuple(from, Kind::kDict);
      break;
    }
    case kAppend:
      need(2);
      append_items(stack_.size() - 1);
      break;
    case kAppends:
    case kAddItems:
      append_items(pop_mark());
      break;
    case kSetItem:
      need(3);
      set_items(stack_.size() - 2);
      break;
    case kSetItems:
      set_items(pop_mark());
      break;
    case kBinPut:
      store(number(1));
      break;
    case kLongBinPut:
      store(number(4));
      break;
    case kMemoize:
      store(memo_.size());
      break;
    case kBinGet:
      fetch(number(1));
      break;
    case kLongBinGet:
      fetch(number(4));
      break;
    case kBinPersid:
      persistent();
      break;
    case kReduce:
      reduce(false);
      break;
    case kNewObj:
      reduce(true);
      break;
    case kBuild:
      build();
      break;
    case kStackGlobal: {
      const Ref name = pop(), module = pop();
      push_global(text_of(module, "a module's name"), text_of(name, "a name"));
      break;
    }
    case kObj:
    case kNewObjEx:
      fail("asks to make an object of a class");
    default:
      return false;
  }
  return true;
}

}  // namespace vicha::pickle

namespace vicha {

PickleValue read_pickle(std::string_view data, const PickleOptions& options, std::size_t* consumed) {
  return pickle::Machine(data, options).run(consumed);
}

}  // namespace vicha
