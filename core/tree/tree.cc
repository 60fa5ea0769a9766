#include "stagefs/tree.h"

#include "stagefs/scratch_names.h"

namespace stagefs {
namespace {

constexpr size_t kWalkPage = 1024;

// A folder that a walk is in.
struct WalkedFolder {
  FolderId folder = 0;
  size_t path_bytes = 0;
  std::vector<Named<Entry>> page;
  size_t at = 0;
  bool end = false;
};

}  // namespace

Tree::~Tree() = default;

Result<std::string> Tree::PathOf(FolderId folder) {
  std::string path;
  while (folder != kRootFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, PlaceOf(folder));
    if (!place) return Error(ErrorCode::kStale, "the folder is gone");
    path = path.empty() ? place->name : place->name + '/' + path;
    folder = place->folder;
  }
  return path;
}

Result<std::string> Tree::PathOf(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string path, PathOf(slot.folder));
  return JoinPath(path, slot.name);
}

Result<bool> Tree::IsScratch(const Slot& slot, const Entry& entry) {
  if (!entry.unfinished) return entry.scratch;
  const std::string_view finished = FinishedNameOf(slot.name);
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> beside, LookUp({slot.folder, std::string(finished)}));
  return beside.has_value();
}

Result<Located> Tree::Find(const RepoPath& path) {
  Located at;
  at.entry = Entry::OfFolder(kRootFolder);
  for (const std::string_view name : path.components()) {
    if (at.entry.kind != EntryKind::kFolder) {
      return Error(ErrorCode::kNotDirectory, "'" + ToDisplayUtf8(at.slot.name) + "' is not a folder");
    }
    at.slot = Slot{at.entry.child, std::string(name)};
    STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, LookUp(at.slot));
    if (!entry) return Error(ErrorCode::kNotFound, "no such path: " + ToDisplayUtf8(path.str()));
    at.entry = std::move(*entry);
  }
  return at;
}

Status Tree::Walk(FolderId folder, const std::string& path, const std::function<Status(const Walked&)>& visit) {
  std::string here = path;
  std::vector<WalkedFolder> open;
  open.push_back({folder, here.size(), {}, 0, false});
  while (!open.empty()) {
    WalkedFolder& top = open.back();
    here.resize(top.path_bytes);
    if (top.at == top.page.size()) {
      if (top.end) {
        open.pop_back();
        continue;
      }
      const std::string after = top.page.empty() ? "" : top.page.back().name;
      STAGEFS_ASSIGN_OR_RETURN(top.page, List(top.folder, after, kWalkPage));
      top.at = 0;
      top.end = top.page.size() < kWalkPage;
      continue;
    }
    const Named<Entry>& named = top.page[top.at++];
    here += (here.empty() ? "" : "/") + named.name;
    STAGEFS_RETURN_IF_ERROR(visit({here, {top.folder, named.name}, named.value}));
    if (named.value.kind != EntryKind::kFolder) continue;
    open.push_back({named.value.child, here.size(), {}, 0, false});
  }
  return {};
}

Result<bool> Tree::IsEmpty(FolderId folder) {
  STAGEFS_ASSIGN_OR_RETURN(const auto first, List(folder, "", 1));
  return first.empty();
}

}  // namespace stagefs
