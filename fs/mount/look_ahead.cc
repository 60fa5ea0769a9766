#include "look_ahead.h"

namespace stagefs {
namespace {

constexpr size_t kLookAhead = 256;
constexpr size_t kFoldersAheadMax = 64;

}  // namespace

Result<std::optional<Entry>> LookAhead::LookUp(const Slot& slot, std::optional<int64_t> heard, int64_t generation) {
  bool goes_on = false;
  if (heard) {
    auto ahead = ahead_.Lock();
    if (ahead->size() > kFoldersAheadMax) ahead->clear();
    Ahead& here = (*ahead)[slot.folder];
    if (here.heard != *heard || here.generation != generation) here = {*heard, generation, "", "", "", {}};
    if (slot.name > here.after && (!here.up_to || slot.name <= *here.up_to)) {
      const auto found = here.entries.find(slot.name);
      return found == here.entries.end() ? std::nullopt : std::optional<Entry>(found->second);
    }
    goes_on = !here.last.empty() && slot.name > here.last;
    here.last = slot.name;
  }
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, tree_.LookUp(slot));
  if (!goes_on) return entry;
  STAGEFS_ASSIGN_OR_RETURN(auto page, tree_.List(slot.folder, slot.name, kLookAhead));
  Ahead next{*heard, generation, slot.name, slot.name, std::nullopt, {}};
  if (page.size() == kLookAhead) next.up_to = page.back().name;
  for (auto& [name, value] : page) next.entries.emplace(std::move(name), std::move(value));
  (*ahead_.Lock())[slot.folder] = std::move(next);
  return entry;
}

}  // namespace stagefs
