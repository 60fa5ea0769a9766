#include "stagefs/taken_back.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "workspace_change.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

Error ForgottenOrNone(int64_t number) {
  return Error(ErrorCode::kNotFound, "nothing that was taken back has number " + std::to_string(number) +
                                         ": gc forgets it after a while; stagefs taken-back lists what there is");
}

// Made of paths, whole, and then only read.
class PathTree : public Tree {
 public:
  // The first of a path counts.
  void Add(const RepoPath& path, const Entry& file) {
    FolderId folder = kRootFolder;
    const RepoPath parent = path.parent();
    for (const std::string_view name : parent.components()) {
      folder = FolderAt(folder, std::string(name));
      if (folder == 0) return;  // A file of the same change is in its way.
    }
    folders_[folder].emplace(path.name(), file);
  }

  Result<std::optional<Entry>> LookUp(const Slot& slot) override {
    const auto folder = folders_.find(slot.folder);
    if (folder == folders_.end()) return std::optional<Entry>();
    const auto at = folder->second.find(slot.name);
    return at == folder->second.end() ? std::nullopt : std::optional(at->second);
  }
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) override {
    std::vector<Named<Entry>> page;
    const auto in = folders_.find(folder);
    if (in == folders_.end()) return page;
    for (auto at = in->second.upper_bound(std::string(after)); at != in->second.end() && page.size() < limit; ++at) {
      page.push_back({at->first, at->second});
    }
    return page;
  }
  Result<std::optional<Slot>> PlaceOf(FolderId folder) override {
    const auto at = places_.find(folder);
    return at == places_.end() ? std::nullopt : std::optional(at->second);
  }

 private:
  FolderId FolderAt(FolderId parent, const std::string& name) {
    const auto next = static_cast<FolderId>(kRootFolder + 1 + static_cast<FolderId>(places_.size()));
    const auto [at, is_new] = folders_[parent].emplace(name, Entry::OfFolder(next));
    if (is_new) places_[next] = {parent, name};
    return at->second.child;
  }

  std::map<FolderId, std::map<std::string, Entry>> folders_;
  std::map<FolderId, Slot> places_;
};

}  // namespace

Status ForEachTakenBack(Workspace& workspace, int64_t after, const TakenBackVisit& visit) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, workspace.repository().index().Read());
  for (TakenBackPlace place{after, INT64_MAX};;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, reader->ListTakenBack(workspace.id(), place, kPage));
    for (const TakenBack& taken : page) STAGEFS_RETURN_IF_ERROR(visit(taken, *reader));
    if (page.size() < kPage) return {};
    place = {page.back().number, page.back().item};
  }
}

Result<std::unique_ptr<Tree>> OpenTakenBack(Workspace& workspace, int64_t number) {
  auto tree = std::make_unique<PathTree>();
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, workspace.repository().index().Read());
  bool any = false;
  for (TakenBackPlace place{number - 1, INT64_MAX}; place.number <= number;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, reader->ListTakenBack(workspace.id(), place, kPage));
    for (const TakenBack& taken : page) {
      if (taken.number != number) break;
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(taken.path));
      tree->Add(path, taken.entry);
      any = true;
    }
    if (page.size() < kPage) break;
    place = {page.back().number, page.back().item};
  }
  if (!any) return ForgottenOrNone(number);
  return std::unique_ptr<Tree>(std::move(tree));
}

}  // namespace stagefs
