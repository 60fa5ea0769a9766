#include "stagefs/checkout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>

#include "checkout_folder.h"
#include "checkout_plan.h"
#include "checkout_state.h"
#include "stagefs/interruption.h"
#include "stagefs/parallel.h"
#include "stagefs/status_text.h"
#include "stagefs/version_source.h"
#include "stagefs/version_store.h"
#include "stagefs/work_progress.h"
#include "versions_of.h"

namespace stagefs {
namespace {

// Between two looks at how far it is.
constexpr size_t kTogether = 512;
constexpr size_t kPieceBytes = 1 << 20;

timespec ToTimespec(int64_t time_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t part = (time_ns % kSecond + kSecond) % kSecond;
  return {static_cast<time_t>((time_ns - part) / kSecond), static_cast<long>(part)};
}

// The folder as an absolute path without links, fit to be checked out into, though it need not be there.
Result<std::string> PlaceFor(const CheckoutRequest& request) {
  std::error_code error;
  const auto real = [&](const std::string& path) {
    const auto absolute = std::filesystem::absolute(path, error);
    std::string found = error ? path : std::filesystem::weakly_canonical(absolute, error).string();
    while (found.size() > 1 && found.ends_with('/')) found.pop_back();
    return found;
  };
  if (request.folder.empty()) return Error(ErrorCode::kInvalidArgument, "name a folder to check out into");
  const std::string path = real(request.folder);
  if (error) return Error(ErrorCode::kIo, request.folder + ": " + error.message());
  const std::string root = real(request.root);
  if (error) return Error(ErrorCode::kIo, request.root + ": " + error.message());
  if (IsAtOrBelow(path, root)) {
    return Error(ErrorCode::kInvalidArgument, path + " lies inside the root " + root + ": name a folder elsewhere");
  }
  if (path == "/" || IsAtOrBelow(root, path)) {
    return Error(ErrorCode::kInvalidArgument,
                 "the root " + root + " lies inside " + path + ": name a folder elsewhere");
  }
  const auto type = std::filesystem::status(path, error).type();
  if (type != std::filesystem::file_type::directory && type != std::filesystem::file_type::not_found) {
    if (error) return Error(ErrorCode::kIo, path + ": " + error.message());
    return Error(ErrorCode::kNotDirectory, path + " is not a folder: name one, or a path where nothing is");
  }
  return path;
}

Error NamingOwnChanges(const CheckoutPlan& plan, const std::string& folder) {
  std::string text = std::to_string(plan.own_changes) +
                     (plan.own_changes == 1 ? " path in " : " paths in ") + folder +
                     " would be lost: changed since a checkout, or never of one. Nothing was changed.";
  for (const std::string& path : plan.own_paths) text += "\n  " + ShowText(path);
  const int64_t more = plan.own_changes - static_cast<int64_t>(plan.own_paths.size());
  if (more > 0) text += "\n  and " + std::to_string(more) + " more";
  return Error(ErrorCode::kConflict, text + "\nMove away what you need, or use --force to lose it.");
}

}  // namespace

// Carries out a plan.
class CheckoutWriter {
 public:
  CheckoutWriter(Repository& repository, const CheckoutRequest& request, CheckoutFolder& folder,
                 const CheckoutPlan& plan)
      : repository_(repository), request_(request), folder_(folder), plan_(plan),
        threads_(CheckoutThreads(repository)) {}

  // Where there can be no links, before anything is changed.
  Status CheckLinks() {
    if (!request_.link) return {};
    if (repository_.versions().IsElsewhere()) {
      return Error(ErrorCode::kUnsupported, "the versions of " + repository_.name().ToString() +
                                                " are not on this machine, so nothing can be linked to them: " +
                                                "check out without --link");
    }
    const auto first = std::find_if(plan_.files.begin(), plan_.files.end(),
                                    [](const CheckoutFile& file) { return file.version != 0; });
    if (first == plan_.files.end()) return {};
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.OpenVersion(first->version));
    struct stat info {};
    if (reader->fd() < 0 || fstat(reader->fd(), &info) != 0) {
      return Error(ErrorCode::kUnsupported, "the versions are no files to link to: check out without --link");
    }
    return info.st_dev == folder_.device() ? Status() : OnAnotherDisk();
  }

  Result<int64_t> Remove() {
    for (const std::string& path : plan_.blockers) STAGEFS_RETURN_IF_ERROR(RemoveAt(path, kSeenAnyTime));
    for (const CheckoutPlan::Removal& removal : plan_.removals) {
      STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
      STAGEFS_RETURN_IF_ERROR(RemoveAt(removal.path, removal.seen_ns));
    }
    STAGEFS_RETURN_IF_ERROR(RemoveEmptied(plan_.left));
    folder_.Forget();
    return static_cast<int64_t>(plan_.removals.size());
  }

  Status Write() {
    for (const std::string& path : plan_.folders) STAGEFS_RETURN_IF_ERROR(folder_.Make(path).WithoutValue());
    ExpectSteps(static_cast<int64_t>(plan_.files.size()));
    for (size_t begin = 0; begin < plan_.files.size(); begin += kTogether) {
      const size_t count = std::min(kTogether, plan_.files.size() - begin);
      STAGEFS_RETURN_IF_ERROR(WriteSome(&plan_.files[begin], count));
      NoteSteps(static_cast<int64_t>(count));
    }
    return {};
  }

 private:
  static std::string NameIn(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  Error OnAnotherDisk() const {
    return Error(ErrorCode::kCrossDevice, folder_.path() + " is not on the disk of the versions of " +
                                              repository_.name().ToString() +
                                              ", so nothing can be linked to them: check out without --link");
  }
  Error ChangedMeanwhile(const std::string& path) const {
    return Error(ErrorCode::kConflict,
                 folder_.path() + '/' + ToDisplayUtf8(path) + " was changed meanwhile: check out again");
  }

  // What is there was last changed at `seen_ns`.
  Status RemoveAt(const std::string& path, int64_t seen_ns) {
    STAGEFS_ASSIGN_OR_RETURN(const CheckoutFolder::Way way, folder_.Find(FolderOfPath(path)));
    if (!way.fd) return {};
    const std::string name = NameIn(path);
    struct stat info {};
    if (fstatat(way.fd->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? Status() : Status(folder_.ErrnoAt(path));
    }
    if (seen_ns != kSeenAnyTime && ToNs(info.st_ctim) != seen_ns) return ChangedMeanwhile(path);
    return unlinkat(way.fd->get(), name.c_str(), 0) == 0 ? Status() : Status(folder_.ErrnoAt(path));
  }

  // Why a folder is not removed: it has other things in it, it is gone, something else is there, it is in use.
  static bool MayStay(int error) {
    return error == ENOTEMPTY || error == EEXIST || error == ENOENT || error == ENOTDIR || error == EBUSY;
  }

  // Those that the revision has stay, and those with other things in them.
  Status RemoveEmptied(std::set<std::string, std::greater<>> folders) {
    if (folders.empty()) return {};
    const std::unordered_set<std::string> kept(plan_.folders.begin(), plan_.folders.end());
    while (!folders.empty()) {
      const std::string path = *folders.begin();
      folders.erase(folders.begin());
      if (kept.contains(path)) continue;
      STAGEFS_ASSIGN_OR_RETURN(const CheckoutFolder::Way way, folder_.Find(FolderOfPath(path)));
      if (!way.fd) continue;
      if (unlinkat(way.fd->get(), NameIn(path).c_str(), AT_REMOVEDIR) == 0) folders.insert(FolderOfPath(path));
      else if (!MayStay(errno)) return folder_.ErrnoAt(path);
    }
    return {};
  }

  Status WriteSome(const CheckoutFile* files, size_t count) {
    std::vector<VersionId> ids;
    for (size_t i = 0; i < count; ++i) ids.push_back(files[i].version);
    STAGEFS_ASSIGN_OR_RETURN(auto reader, repository_.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, VersionsOf(*reader, std::move(ids)));
    reader.reset();
    return InParallel(count, threads_, [&](uint64_t i) -> Status {
      STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
      const std::string path = JoinPath(plan_.folders[files[i].folder], files[i].name);
      const Status written = files[i].target.empty() ? WriteOne(files[i], path, versions.at(files[i].version))
                                                     : WriteSymlink(files[i], path);
      if (written || written.error().code() == ErrorCode::kConflict) return written;
      return written.error().In(folder_.path() + '/' + ToDisplayUtf8(path));
    });
  }

  Status WriteOne(const CheckoutFile& file, const std::string& path, const VersionInfo& version) {
    STAGEFS_ASSIGN_OR_RETURN(const CheckoutFolder::SharedFd folder, folder_.Make(plan_.folders[file.folder]));
    if (file.need == CheckoutFile::Need::kMetadata) return Mend(file, path, folder->get());
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.OpenVersion(version));
    const std::string temporary = folder_.NewTemporary();
    Status done = request_.link ? LinkTo(*reader, version, folder->get(), temporary)
                                : Copy(*reader, file, version, folder->get(), temporary);
    if (done) done = Place(file, path, folder->get(), temporary);
    // rename() leaves it where both names are of one file.
    if (!done || request_.link) (void)unlinkat(folder->get(), temporary.c_str(), 0);
    return done;
  }

  Status WriteSymlink(const CheckoutFile& file, const std::string& path) {
    STAGEFS_ASSIGN_OR_RETURN(const CheckoutFolder::SharedFd folder, folder_.Make(plan_.folders[file.folder]));
    const std::string temporary = folder_.NewTemporary();
    const int made = symlinkat(file.target.c_str(), folder->get(), temporary.c_str());
    if (made != 0) return ErrnoError("make a symbolic link");
    const timespec times[2] = {{0, UTIME_NOW}, ToTimespec(file.mtime_ns)};
    (void)utimensat(folder->get(), temporary.c_str(), times, AT_SYMLINK_NOFOLLOW);  // Some disks keep no such times.
    const Status done = Place(file, path, folder->get(), temporary);
    if (!done) (void)unlinkat(folder->get(), temporary.c_str(), 0);
    return done;
  }

  Status LinkTo(const VersionReader& reader, const VersionInfo& version, int folder, const std::string& temporary) {
    STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(reader.fd()));
    if (hashed.id.sha256 != version.content.sha256) return DamagedVersion(version.content.sha256);
    const std::string opened = "/proc/self/fd/" + std::to_string(reader.fd());
    if (linkat(AT_FDCWD, opened.c_str(), folder, temporary.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    if (errno == EXDEV) return OnAnotherDisk();
    if (errno == EMLINK) {
      return Error(ErrorCode::kUnsupported,
                   "one version has more links than this disk allows: check out without --link");
    }
    return ErrnoError("link to a version");
  }

  Status Copy(const VersionReader& reader, const CheckoutFile& file, const VersionInfo& version, int folder,
              const std::string& temporary) {
    const mode_t mode = file.executable ? 0777 : 0666;  // Less the umask.
    const UniqueFd to(openat(folder, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!to.valid()) return ErrnoError("make a file");
    STAGEFS_ASSIGN_OR_RETURN(const Sha256 hash, CopyBytesOf(reader, to.get()));
    if (hash != version.content.sha256) return DamagedVersion(version.content.sha256);
    const timespec times[2] = {{0, UTIME_NOW}, ToTimespec(file.mtime_ns)};
    return futimens(to.get(), times) == 0 ? Status() : Status(ErrnoError("set its time"));
  }

  // What is in the file `to` afterwards hashes to.
  Result<Sha256> CopyBytesOf(const VersionReader& reader, int to) {
    const uint64_t size_bytes = reader.size_bytes();
    if (size_bytes == 0) return EmptyContent().sha256;
    if (reader.fd() >= 0 && !copies_) {
      if (TryReflink(reader.fd(), to)) return HashOf(to);
    }
    if (!copies_.exchange(true)) STAGEFS_RETURN_IF_ERROR(CheckSpace());
    if (reader.fd() >= 0 && size_bytes >= kSparseBytesMin && SparseBlocks(reader.fd())) {
      STAGEFS_RETURN_IF_ERROR(CopyBytes(reader.fd(), to, size_bytes));
      return HashOf(to);
    }
    const size_t piece_bytes = std::min<uint64_t>(size_bytes, kPieceBytes);
    const auto buffer = std::make_unique_for_overwrite<char[]>(piece_bytes);
    std::optional<ContentHasher> hasher;  // A small file is hashed at once.
    for (uint64_t offset = 0; offset < size_bytes;) {
      STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
      STAGEFS_ASSIGN_OR_RETURN(const size_t got, reader.ReadAt(buffer.get(), piece_bytes, offset));
      if (got == 0) break;
      STAGEFS_RETURN_IF_ERROR(WriteAllAt(to, buffer.get(), got, offset));
      if (got == size_bytes) return Sha256Of({buffer.get(), got});
      if (!hasher) hasher.emplace();
      hasher->Update(buffer.get(), got);
      offset += got;
    }
    return hasher ? hasher->Finish().sha256 : EmptyContent().sha256;
  }

  static Result<Sha256> HashOf(int fd) {
    STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd));
    return hashed.id.sha256;
  }

  // Once it is known that bytes are copied, so that a disk that is too small is not filled first.
  Status CheckSpace() const {
    STAGEFS_ASSIGN_OR_RETURN(const DiskSpace space, SpaceOf(folder_.path()));
    const uint64_t free_bytes = space.block_bytes * space.blocks_available;
    if (plan_.bytes_needed <= 0 || static_cast<uint64_t>(plan_.bytes_needed) <= free_bytes) return {};
    return Error(ErrorCode::kNoSpace, std::to_string(plan_.bytes_needed) + " bytes are to be written, and " +
                                          std::to_string(free_bytes) + " are free");
  }

  // To the file's own name, if what was there is what was looked at.
  Status Place(const CheckoutFile& file, const std::string& path, int folder, const std::string& temporary) {
    const char* from = temporary.c_str();
    const char* to = file.name.c_str();
    if (file.is_folder) STAGEFS_RETURN_IF_ERROR(RemoveFolderTree(folder, file.name, request_.force));
    if (!request_.force && (file.seen_ns == 0 || file.is_folder)) {
      if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0) return {};
      if (errno == EEXIST) return ChangedMeanwhile(path);
      if (errno != EINVAL && errno != ENOSYS) return ErrnoError("rename it into place");
    } else if (!request_.force && file.seen_ns != kSeenAnyTime) {
      struct stat info {};
      const bool exists = fstatat(folder, to, &info, AT_SYMLINK_NOFOLLOW) == 0;
      if (exists && ToNs(info.st_ctim) != file.seen_ns) return ChangedMeanwhile(path);
    }
    return renameat(folder, from, folder, to) == 0 ? Status() : Status(ErrnoError("rename it into place"));
  }

  // Time and mode of a file whose bytes are right, and that has no other name.
  Status Mend(const CheckoutFile& file, const std::string& path, int folder) {
    const UniqueFd fd(openat(folder, file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info {};
    if (!fd.valid() || fstat(fd.get(), &info) != 0) return ErrnoError("open it");
    if (ToNs(info.st_ctim) != file.seen_ns || info.st_nlink > 1) return ChangedMeanwhile(path);
    const mode_t before = info.st_mode & 07777;
    const mode_t mode = file.executable ? before | S_IXUSR | ((before & 0044) >> 2) : before & ~mode_t{0111};
    if (mode != before && fchmod(fd.get(), mode) != 0) return ErrnoError("change its mode");
    const timespec times[2] = {{0, UTIME_OMIT}, ToTimespec(file.mtime_ns)};
    return futimens(fd.get(), times) == 0 ? Status() : Status(ErrnoError("set its time"));
  }

  Repository& repository_;
  const CheckoutRequest& request_;
  CheckoutFolder& folder_;
  const CheckoutPlan& plan_;
  const size_t threads_;
  std::atomic<bool> copies_ = false;  // This disk shares no bytes with that of the versions.
};

namespace {

// What the folder says was checked out there.
Result<CheckoutBefore> BeforeOf(Repository& repository, const CheckoutRequest& request, const CheckoutFolder& folder,
                                const CheckoutState& wanted, const std::optional<CheckoutState>& state) {
  CheckoutBefore before;
  if (!state) return before;
  if (!state->IsOfSame(wanted)) {
    return Error(ErrorCode::kConflict, folder.path() + " holds a checkout of " + state->repository +
                                           (state->path.empty() ? "" : ", its " + state->path) +
                                           ": name another folder, or remove that one");
  }
  std::vector<std::string> commits = state->from;
  commits.push_back(state->commit);
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  for (const std::string& id : commits) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, reader->FindCommit(id));
    if (commit) {
      if (commit->seq == request.revision.commit.seq) continue;
      Revision& revision = before.revisions.emplace_back();
      revision.name = id;
      revision.commit = *commit;
    } else if (!request.force) {
      return Error(ErrorCode::kConflict, folder.path() + " was checked out from commit " + id + ", which " +
                                             state->repository + " has not: --force keeps what is right there, and " +
                                             "replaces what is not");
    }
  }
  before.are_links = state->link;
  before.trusts_times = state->complete || state->boot == BootId();
  before.lost_power = !before.trusts_times;
  before.lost_bytes = !state->complete && state->boot.empty();
  return before;
}

Result<CheckedOut> CheckoutInto(Repository& repository, const CheckoutRequest& request, CheckoutFolder& folder,
                                bool* changes_nothing) {
  CheckoutState state =
      CheckoutState::Of(repository.name().ToString(), request.revision.commit.id, request.path);
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CheckoutState> found, CheckoutState::Read(folder.fd()));
  if (found && !found->complete) folder.RemoveTemporaries();
  STAGEFS_ASSIGN_OR_RETURN(const CheckoutBefore before, BeforeOf(repository, request, folder, state, found));
  CheckoutPlan plan;
  {
    const Watching nobody(nullptr);
    STAGEFS_ASSIGN_OR_RETURN(plan, PlanCheckout(repository, request, before, folder));
  }
  if (plan.own_changes > 0 && !request.force) return NamingOwnChanges(plan, folder.path());
  CheckoutWriter writer(repository, request, folder, plan);
  STAGEFS_RETURN_IF_ERROR(writer.CheckLinks());
  CheckedOut done;
  done.files = plan.files_total;
  done.bytes = plan.bytes_total;
  done.written = static_cast<int64_t>(plan.files.size());
  done.has_state_file = plan.has_state_file;
  const bool is_there = found && found->complete && found->commit == state.commit && found->link == request.link;
  if (is_there && plan.files.empty() && plan.removals.empty()) return done;

  // A file may be as any of these from here on.
  for (const Revision& revision : before.revisions) state.from.push_back(revision.commit.id);
  state.link = request.link || before.are_links;
  if (!before.lost_bytes) state.boot = BootId();
  STAGEFS_RETURN_IF_ERROR(state.Write(folder.fd(), folder.NewTemporary()));
  *changes_nothing = false;
  STAGEFS_ASSIGN_OR_RETURN(done.removed, writer.Remove());
  STAGEFS_RETURN_IF_ERROR(writer.Write());
  if (syncfs(folder.fd()) != 0) {
    const Error error = ErrnoError("sync " + folder.path());
    state.boot.clear();
    (void)state.Write(folder.fd(), folder.NewTemporary());
    return error;
  }
  state.link = request.link;
  state.complete = true;
  state.from.clear();
  state.boot.clear();
  STAGEFS_RETURN_IF_ERROR(state.Write(folder.fd(), folder.NewTemporary()));
  return done;
}

}  // namespace

Result<CheckedOut> Checkout(Repository& repository, const CheckoutRequest& request) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string path, PlaceFor(request));
  {  // Before a folder is made for it.
    STAGEFS_ASSIGN_OR_RETURN(const auto tree, OpenTree(repository, request.revision.commit));
    STAGEFS_RETURN_IF_ERROR(tree->Find(request.path).WithoutValue());
  }
  std::error_code failed;
  const bool made = std::filesystem::create_directories(path, failed);
  if (failed) {
    errno = failed.value();
    return ErrnoError("make the folder " + path);
  }
  bool changes_nothing = true;
  const auto done = [&]() -> Result<CheckedOut> {
    STAGEFS_ASSIGN_OR_RETURN(const auto folder, CheckoutFolder::Open(path));
    return CheckoutInto(repository, request, *folder, &changes_nothing);
  }();
  if (!done && made && changes_nothing) (void)rmdir(path.c_str());
  return done;
}

}  // namespace stagefs
