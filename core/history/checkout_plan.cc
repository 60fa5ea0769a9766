#include "checkout_plan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "stagefs/interruption.h"
#include "stagefs/parallel.h"
#include "stagefs/tree_diff.h"
#include "stagefs/version_source.h"
#include "stagefs/version_store.h"
#include "versions_of.h"

namespace stagefs {
namespace {

constexpr size_t kTogether = 2048;

bool HasTime(const struct stat& info, uint64_t size_bytes, int64_t mtime_ns) {
  return static_cast<uint64_t>(info.st_size) == size_bytes && ToNs(info.st_mtim) == mtime_ns;
}

// As a file or link was checked out before.
struct CheckedOutBefore {
  VersionId version = 0;
  std::string target;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
};

// What is at a path of the folder.
struct FoundThere {
  CheckoutFolder::SharedFd folder;
  struct stat info {};
  bool exists = false;
  bool is_open_question = false;  // A file whose bytes have to be looked at.
};

bool IsFileOrLink(const struct stat& info) { return S_ISREG(info.st_mode) || S_ISLNK(info.st_mode); }

}  // namespace

class CheckoutPlanner {
 public:
  CheckoutPlanner(Repository& repository, const CheckoutRequest& request, const CheckoutBefore& before,
                  CheckoutFolder& folder)
      : repository_(repository), request_(request), before_(before), folder_(folder),
        threads_(CheckoutThreads(repository)) {}

  Result<CheckoutPlan> Run() {
    STAGEFS_ASSIGN_OR_RETURN(const auto tree, OpenTree(repository_, request_.revision.commit));
    STAGEFS_ASSIGN_OR_RETURN(const Located top, tree->Find(request_.path));
    for (const Revision& revision : before_.revisions) STAGEFS_RETURN_IF_ERROR(NoteChangesSince(revision));
    plan_.folders.emplace_back();
    if (top.entry.kind == EntryKind::kFolder) {
      numbers_[top.entry.child] = 0;
      STAGEFS_RETURN_IF_ERROR(tree->Walk(top.entry.child, "", [&](const Tree::Walked& at) -> Status {
        if (at.entry.kind == EntryKind::kFolder) return AddFolder(at.path, at.entry.child);
        return AddFile(at.slot, numbers_.at(at.slot.folder), at.entry);
      }));
    } else {
      STAGEFS_RETURN_IF_ERROR(AddFile(top.slot, 0, top.entry));
    }
    STAGEFS_RETURN_IF_ERROR(CompareFiles());
    STAGEFS_RETURN_IF_ERROR(CompareRemoved());
    return std::move(plan_);
  }

 private:
  std::string BelowFolder(const std::string& path) const {
    const RepoPath& top = request_.path;
    if (top.is_root()) return path;
    if (path == top.str()) return std::string(top.name());  // A file alone.
    return path.substr(top.str().size() + 1);
  }

  Status NoteChangesSince(const Revision& revision) {
    const DiffRequest request{revision, request_.revision, {request_.path}, /*find_moves=*/false};
    return DiffTrees(repository_, request, [&](const TreeChange& change, IndexReader&) -> Status {
      if (!change.before) return {};
      const std::string path = BelowFolder(change.path);
      if (path == kCheckoutStateFile) return {};
      changed_[path].push_back(
          {change.before->version, change.before->target, change.before->size_bytes, change.before->mtime_ns});
      if (!change.after) removed_.insert(path);
      return {};
    });
  }

  Status AddFolder(const std::string& path, FolderId id) {
    numbers_[id] = plan_.folders.size();
    plan_.folders.push_back(path);
    STAGEFS_ASSIGN_OR_RETURN(const CheckoutFolder::Way way, folder_.Find(path));
    // A file that goes is not in the way.
    if (way.blocked_by.empty() || removed_.contains(way.blocked_by)) return {};
    if (plan_.blockers.insert(way.blocked_by).second) NoteOwn(way.blocked_by);
    return {};
  }

  Status AddFile(const Slot& slot, size_t folder, const Entry& entry) {
    if (folder == 0 && slot.name == kCheckoutStateFile) {
      plan_.has_state_file = true;
      return {};
    }
    CheckoutFile file;
    file.name = slot.name;
    file.folder = folder;
    file.version = entry.version;
    file.target = entry.target;
    file.size_bytes = entry.size_bytes;
    file.mtime_ns = entry.mtime_ns;
    file.executable = entry.executable;
    ++plan_.files_total;
    plan_.bytes_total += entry.size_bytes;
    if (!removed_.empty()) removed_.erase(PathOf(file));
    waiting_.push_back(std::move(file));
    return waiting_.size() < kTogether ? Status() : CompareFiles();
  }

  std::string PathOf(const CheckoutFile& file) const { return JoinPath(plan_.folders[file.folder], file.name); }

  void NoteOwn(const std::string& path) {
    ++plan_.own_changes;
    if (plan_.own_paths.size() < kOwnChangesNamed) plan_.own_paths.push_back(path);
  }

  const std::vector<CheckedOutBefore>& BeforeAt(const std::string& path) const {
    static const std::vector<CheckedOutBefore> kNone;
    const auto at = changed_.find(path);
    return at == changed_.end() ? kNone : at->second;
  }

  Result<FoundThere> LookAt(const std::string& folder, const std::string& name) {
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    FoundThere found;
    STAGEFS_ASSIGN_OR_RETURN(CheckoutFolder::Way way, folder_.Find(folder));
    if (!way.fd) return found;
    if (fstatat(way.fd->get(), name.c_str(), &found.info, AT_SYMLINK_NOFOLLOW) == 0) {
      found.exists = true;
      found.folder = std::move(way.fd);
      return found;
    }
    if (errno != ENOENT) return folder_.ErrnoAt(JoinPath(folder, name));
    return found;
  }

  // Several at a time, and the versions of all whose bytes decide asked for at once.
  Status CompareFiles() {
    std::vector<FoundThere> found(waiting_.size());
    STAGEFS_RETURN_IF_ERROR(InParallel(waiting_.size(), threads_, [&](uint64_t i) -> Status {
      CheckoutFile& file = waiting_[i];
      STAGEFS_ASSIGN_OR_RETURN(found[i], LookAt(plan_.folders[file.folder], file.name));
      if (found[i].exists) Judge(&file, &found[i]);
      return {};
    }));
    std::vector<VersionId> ids;
    std::vector<size_t> open;
    for (size_t i = 0; i < found.size(); ++i) {
      if (!found[i].is_open_question) continue;
      open.push_back(i);
      ids.push_back(waiting_[i].version);
      for (const CheckedOutBefore& was : BeforeAt(PathOf(waiting_[i]))) ids.push_back(was.version);
    }
    STAGEFS_ASSIGN_OR_RETURN(const Versions versions, Ask(std::move(ids)));
    std::vector<char> is_own(found.size());
    STAGEFS_RETURN_IF_ERROR(InParallel(open.size(), threads_, [&](uint64_t i) -> Status {
      const size_t at = open[i];
      STAGEFS_ASSIGN_OR_RETURN(const bool own, JudgeBytes(&waiting_[at], found[at], versions));
      is_own[at] = own ? 1 : 0;
      return {};
    }));
    for (size_t i = 0; i < found.size(); ++i) {
      CheckoutFile& file = waiting_[i];
      if (file.is_folder) STAGEFS_RETURN_IF_ERROR(NoteOwnIn(*found[i].folder, file.name, PathOf(file)));
      if (found[i].exists && !file.is_folder && (is_own[i] != 0 || !IsFileOrLink(found[i].info))) {
        NoteOwn(PathOf(file));
      }
      if (file.need == CheckoutFile::Need::kNothing) continue;
      if (file.need == CheckoutFile::Need::kBytes) {
        plan_.bytes_needed += static_cast<int64_t>(file.size_bytes);
        if (S_ISREG(found[i].info.st_mode)) plan_.bytes_needed -= found[i].info.st_size;
      }
      plan_.files.push_back(std::move(file));
    }
    waiting_.clear();
    return {};
  }

  // Each new link to a file changes its time.
  static int64_t SeenNs(const struct stat& info) {
    return S_ISREG(info.st_mode) && info.st_nlink > 1 ? kSeenAnyTime : ToNs(info.st_ctim);
  }

  // What can be said of a file without its bytes.
  void Judge(CheckoutFile* file, FoundThere* found) const {
    const struct stat& info = found->info;
    file->seen_ns = SeenNs(info);
    file->is_folder = S_ISDIR(info.st_mode);
    if (!IsFileOrLink(info)) return;
    if (S_ISLNK(info.st_mode) || !file->target.empty()) {
      found->is_open_question = true;
      return;
    }
    found->is_open_question = request_.link || !before_.trusts_times ||
                              !HasTime(info, file->size_bytes, file->mtime_ns) || MayBeLink(info);
    if (!found->is_open_question) file->need = NeedOfRightBytes(*file, info);
  }

  bool MayBeLink(const struct stat& info) const {
    return before_.are_links && info.st_nlink > 1 && (info.st_mode & S_IWUSR) == 0;
  }

  // A file with other names is nobody's to change in its place.
  CheckoutFile::Need NeedOfRightBytes(const CheckoutFile& file, const struct stat& info) const {
    if (before_.lost_bytes) return CheckoutFile::Need::kBytes;
    if (!file.target.empty()) return CheckoutFile::Need::kNothing;
    const bool executable = (info.st_mode & S_IXUSR) != 0;
    const bool is_as_it_should = executable == file.executable && ToNs(info.st_mtim) == file.mtime_ns;
    if (is_as_it_should) return CheckoutFile::Need::kNothing;
    return info.st_nlink > 1 ? CheckoutFile::Need::kBytes : CheckoutFile::Need::kMetadata;
  }

  using Versions = std::unordered_map<VersionId, VersionInfo>;
  Result<Versions> Ask(std::vector<VersionId> ids) {
    if (ids.empty()) return Versions();
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    return VersionsOf(*reader, std::move(ids));
  }

  // Decides what a file needs; true if it is an own change.
  Result<bool> JudgeBytes(CheckoutFile* file, const FoundThere& found, const Versions& versions) {
    const bool is_symlink = S_ISLNK(found.info.st_mode) || !file->target.empty();
    if (!is_symlink && (request_.link || MayBeLink(found.info))) {
      STAGEFS_ASSIGN_OR_RETURN(const bool is_stores, IsFileOfStore(versions.at(file->version), found.info));
      if (is_stores && request_.link) file->need = CheckoutFile::Need::kNothing;
      if (is_stores) return false;
    }
    const std::vector<CheckedOutBefore> now = {{file->version, file->target, file->size_bytes, file->mtime_ns}};
    STAGEFS_ASSIGN_OR_RETURN(const bool is_right, IsAsOneOf(now, found, file->name, versions));
    if (is_right && (is_symlink || !request_.link)) file->need = NeedOfRightBytes(*file, found.info);
    const bool may_be_cut_off = !is_symlink && before_.lost_power && ToNs(found.info.st_mtim) == file->mtime_ns;
    if (is_right || may_be_cut_off) return false;
    STAGEFS_ASSIGN_OR_RETURN(const bool is_as_before, IsAsOneOf(BeforeAt(PathOf(*file)), found, file->name, versions));
    return !is_as_before;
  }

  Result<bool> IsFileOfStore(const VersionInfo& version, const struct stat& info) const {
    if (static_cast<uint64_t>(info.st_size) != version.size_bytes) return false;
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.OpenVersion(version));
    struct stat of_store {};
    if (reader->fd() < 0 || fstat(reader->fd(), &of_store) != 0) return false;
    return of_store.st_dev == info.st_dev && of_store.st_ino == info.st_ino;
  }

  Result<bool> IsAsOneOf(const std::vector<CheckedOutBefore>& all, const FoundThere& found, const std::string& name,
                         const Versions& versions) const {
    if (S_ISLNK(found.info.st_mode)) {
      STAGEFS_ASSIGN_OR_RETURN(const std::string target, ReadLinkIn(found.folder->get(), name));
      return std::any_of(all.begin(), all.end(), [&](const CheckedOutBefore& was) { return was.target == target; });
    }
    bool may_be = false;
    for (const CheckedOutBefore& was : all) {
      if (!was.target.empty()) continue;
      if (before_.trusts_times && HasTime(found.info, was.size_bytes, was.mtime_ns)) return true;
      may_be = may_be || was.size_bytes == static_cast<uint64_t>(found.info.st_size);
    }
    if (!may_be) return false;
    const UniqueFd fd(openat(found.folder->get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) return ErrnoError("read " + ToDisplayUtf8(name));
    STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd.get()));
    return std::any_of(all.begin(), all.end(), [&](const CheckedOutBefore& was) {
      return was.target.empty() && versions.at(was.version).content.sha256 == hashed.id.sha256;
    });
  }

  // A folder is in the place of a file: all in it is the folder's own but for what goes anyway.
  Status NoteOwnIn(int above, const std::string& name, const std::string& path) {
    const UniqueFd fd(openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) return folder_.ErrnoAt(path);
    STAGEFS_ASSIGN_OR_RETURN(const std::vector<FolderName> names, NamesIn(fd.get()));
    for (const FolderName& found : names) {
      const std::string at = JoinPath(path, found.name);
      if (found.is_folder) STAGEFS_RETURN_IF_ERROR(NoteOwnIn(fd.get(), found.name, at));
      else if (!removed_.contains(at)) NoteOwn(at);
    }
    return {};
  }
  Status NoteOwnIn(const UniqueFd& above, const std::string& name, const std::string& path) {
    return NoteOwnIn(above.get(), name, path);
  }

  Status CompareRemoved() {
    std::vector<std::string> paths(removed_.begin(), removed_.end());
    for (size_t begin = 0; begin < paths.size(); begin += kTogether) {
      const size_t end = std::min(begin + kTogether, paths.size());
      STAGEFS_RETURN_IF_ERROR(CompareRemoved({paths.begin() + static_cast<ptrdiff_t>(begin),
                                              paths.begin() + static_cast<ptrdiff_t>(end)}));
    }
    return {};
  }

  Status CompareRemoved(const std::vector<std::string>& paths) {
    std::vector<VersionId> ids;
    for (const std::string& path : paths) {
      for (const CheckedOutBefore& was : BeforeAt(path)) ids.push_back(was.version);
    }
    STAGEFS_ASSIGN_OR_RETURN(const Versions versions, Ask(std::move(ids)));
    std::vector<FoundThere> found(paths.size());
    std::vector<char> is_own(paths.size());
    STAGEFS_RETURN_IF_ERROR(InParallel(paths.size(), threads_, [&](uint64_t i) -> Status {
      const std::string name = paths[i].substr(paths[i].rfind('/') + 1);
      STAGEFS_ASSIGN_OR_RETURN(found[i], LookAt(FolderOfPath(paths[i]), name));
      if (!found[i].exists || S_ISDIR(found[i].info.st_mode)) return {};
      is_own[i] = 1;
      if (!IsFileOrLink(found[i].info)) return {};
      STAGEFS_ASSIGN_OR_RETURN(const bool is_as_before, IsAsOneOf(BeforeAt(paths[i]), found[i], name, versions));
      is_own[i] = is_as_before ? 0 : 1;
      return {};
    }));
    for (size_t i = 0; i < paths.size(); ++i) {
      plan_.left.insert(FolderOfPath(paths[i]));
      if (!found[i].exists || S_ISDIR(found[i].info.st_mode)) continue;  // A folder by now stays.
      if (is_own[i] != 0) NoteOwn(paths[i]);
      plan_.removals.push_back({paths[i], SeenNs(found[i].info)});
      if (S_ISREG(found[i].info.st_mode)) plan_.bytes_needed -= found[i].info.st_size;
    }
    return {};
  }

  Repository& repository_;
  const CheckoutRequest& request_;
  const CheckoutBefore& before_;
  CheckoutFolder& folder_;
  const size_t threads_;
  CheckoutPlan plan_;
  std::unordered_map<FolderId, size_t> numbers_;
  std::vector<CheckoutFile> waiting_;  // To be compared.
  // What the new revision has otherwise than those before, or has not.
  std::unordered_map<std::string, std::vector<CheckedOutBefore>> changed_;
  std::set<std::string> removed_;
};

Result<CheckoutPlan> PlanCheckout(Repository& repository, const CheckoutRequest& request, const CheckoutBefore& before,
                                  CheckoutFolder& folder) {
  return CheckoutPlanner(repository, request, before, folder).Run();
}

size_t CheckoutThreads(Repository& repository) {
  constexpr size_t kThreadsMin = 2, kThreadsMax = 8;
  if (repository.versions().IsElsewhere()) return kRequestsAtOnce;
  return std::clamp<size_t>(std::thread::hardware_concurrency(), kThreadsMin, kThreadsMax);
}

}  // namespace stagefs
