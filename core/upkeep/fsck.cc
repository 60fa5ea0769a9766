// fsck: the index's pages, and every version's bytes against its hash.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "stagefs/parallel.h"
#include "stagefs/posix_env.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "version_health.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;

// What gc removes between a look at the index and one at the bytes is not missing: its row is gone as well by then.
Result<bool> IsNamed(Repository& repository, const Sha256& hash) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto row, reader->FindVersion(HashRef(hash)));
  return row.has_value();
}

Status CheckPage(Repository& repository, const std::vector<VersionInfo>& page, FsckReport* report,
                 const std::function<void(int64_t)>& progress) {
  std::vector<Health> health(page.size());
  Guarded<int64_t> checked(report->checked);
  STAGEFS_RETURN_IF_ERROR(
      InParallel(page.size(), repository.versions().IsElsewhere() ? kRequestsAtOnce : 1, [&](uint64_t i) -> Status {
        STAGEFS_ASSIGN_OR_RETURN(health[i], CheckVersion(repository.versions(), page[i]));
        auto done = checked.Lock();
        ++*done;
        if (progress) progress(*done);
        return {};
      }));
  report->checked = *checked.Lock();
  for (size_t i = 0; i < page.size(); ++i) {
    if (health[i] == Health::kGood) continue;
    const Sha256& hash = page[i].content.sha256;
    STAGEFS_ASSIGN_OR_RETURN(const bool is_named, IsNamed(repository, hash));
    if (!is_named) continue;
    (health[i] == Health::kMissing ? report->missing : report->damaged).push_back(hash);
  }
  return {};
}

Status CheckVersions(Repository& repository, FsckReport* report, const std::function<void(int64_t)>& progress) {
  for (std::optional<Sha256> after;;) {
    STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto page, reader->ListVersions(after, kPage));
    reader.reset();
    if (page.empty()) break;
    STAGEFS_RETURN_IF_ERROR(CheckPage(repository, page, report, progress));
    after = page.back().content.sha256;
  }
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(report->entries_without_version, reader->CountDangling());
  reader.reset();
  STAGEFS_ASSIGN_OR_RETURN(report->orphaned, ListOrphans(repository));
  return {};
}

// Removes the bytes of a damaged version from the store and keeps them as `aside`, unless somebody made it good. In a
// turn, so that nobody stores the same content meanwhile; what has to be fetched is fetched before it.
Result<bool> SetOneAside(Repository& repository, const Sha256& hash, const std::string& aside) {
  VersionStore& versions = repository.versions();
  if (versions.IsElsewhere()) {
    const auto bytes = versions.OpenToCheck(hash);
    if (!bytes && bytes.error().code() == ErrorCode::kNotFound) return false;
    if (!bytes) return bytes.error();
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd copy, OpenFd(aside, O_RDWR | O_CREAT | O_TRUNC));
    STAGEFS_RETURN_IF_ERROR(CopyBytes((*bytes)->fd(), copy.get(), (*bytes)->size_bytes()));
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
  STAGEFS_ASSIGN_OR_RETURN(const Presence there, versions.Locate(hash));
  if (there != Presence::kNowhere) {
    if (versions.IsElsewhere()) unlink(aside.c_str());
    return false;
  }
  const Status gone = versions.IsElsewhere() ? versions.Remove(hash) : versions.GiveBack(hash, aside);
  if (!gone && gone.error().code() != ErrorCode::kNotFound) return gone.error();
  return gone.has_value();
}

}  // namespace

Result<std::vector<Sha256>> ListOrphans(Repository& repository) {
  std::vector<Sha256> stored, orphans;
  STAGEFS_RETURN_IF_ERROR(repository.versions().List([&](const Sha256& hash) {
    stored.push_back(hash);
    return true;
  }));
  for (size_t first = 0; first < stored.size(); first += kPage) {
    std::vector<HashRef> page;
    for (size_t i = first; i < std::min(first + kPage, stored.size()); ++i) page.emplace_back(stored[i]);
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto rows, reader->FindVersions(page));
    for (size_t i = 0; i < page.size(); ++i) {
      if (!rows[i]) orphans.push_back(stored[first + i]);
    }
  }
  return orphans;
}

Result<Health> CheckVersion(VersionStore& store, const VersionInfo& version) {
  const auto reader = store.OpenToCheck(version.content.sha256);
  if (!reader) {
    if (reader.error().code() == ErrorCode::kNotFound) return Health::kMissing;
    return reader.error();
  }
  const auto hashed = HashVersion(**reader);
  // Nobody can read it now. The disk may be able to later, so it gets no mark.
  if (!hashed) return Health::kDamaged;
  const bool good = *hashed == version.content;
  (void)store.NoteHealth(version.content.sha256, **reader, good);
  return good ? Health::kGood : Health::kDamaged;
}

Result<FsckReport> Fsck(Repository& repository, const std::function<void(int64_t)>& progress) {
  FsckReport report;
  STAGEFS_ASSIGN_OR_RETURN(report.index_damage, repository.index().CheckIntegrity());
  const Status checked = CheckVersions(repository, &report, progress);
  if (!checked && checked.error().code() != ErrorCode::kCorrupt) return checked.error();
  if (!checked) report.index_damage.push_back(checked.error().message());
  // Other machines do not see this one's mark.
  if (repository.versions().IsElsewhere()) {
    STAGEFS_ASSIGN_OR_RETURN(report.set_aside, SetAside(repository, report.damaged));
  }
  return report;
}

Result<int64_t> SetAside(Repository& repository, const std::vector<Sha256>& damaged) {
  const std::string folder = repository.folder() + "/damaged";
  if (!damaged.empty()) STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  int64_t moved = 0;
  for (const Sha256& hash : damaged) {
    STAGEFS_ASSIGN_OR_RETURN(const bool aside, SetOneAside(repository, hash, folder + '/' + ToHex(hash)));
    moved += aside;
  }
  return moved;
}

}  // namespace stagefs
