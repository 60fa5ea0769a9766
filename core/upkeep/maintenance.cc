// fsck and gc.
#include <algorithm>

#include "stagefs/parallel.h"
#include "stagefs/posix_env.h"
#include "stagefs/upkeep.h"
#include "stagefs/uploads.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;
constexpr int64_t kHourNs = 3'600LL * 1'000'000'000LL;
constexpr int64_t kDayNs = 24 * kHourNs;

enum class Health { kGood, kMissing, kDamaged };

Result<Health> HealthOf(const VersionStore& store, const VersionInfo& version) {
  const auto reader = store.OpenToCheck(version.content.sha256);
  if (!reader) {
    if (reader.error().code() == ErrorCode::kNotFound) return Health::kMissing;
    return reader.error();
  }
  ContentHasher hasher;
  std::vector<char> buffer(256 << 10);
  uint64_t offset = 0;
  for (;;) {
    const auto got = (*reader)->ReadAt(buffer.data(), buffer.size(), offset);
    if (!got) return Health::kDamaged;
    hasher.Update(buffer.data(), *got);
    offset += *got;
    if (*got < buffer.size()) break;
  }
  return hasher.Finish() == version.content ? Health::kGood : Health::kDamaged;
}

}  // namespace

Result<FsckReport> Fsck(Repository& repository, const std::function<void(int64_t)>& progress) {
  FsckReport report;
  std::optional<Sha256> after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto page, reader->ListVersions(after, kPage));
    reader.reset();
    if (page.empty()) break;
    std::vector<Health> health(page.size());
    Guarded<int64_t> checked(report.checked);
    STAGEFS_RETURN_IF_ERROR(
        InParallel(page.size(), repository.versions().IsElsewhere() ? kRequestsAtOnce : 1, [&](uint64_t i) -> Status {
          STAGEFS_ASSIGN_OR_RETURN(health[i], HealthOf(repository.versions(), page[i]));
          auto done = checked.Lock();
          ++*done;
          if (progress) progress(*done);
          return {};
        }));
    report.checked = *checked.Lock();
    for (size_t i = 0; i < page.size(); ++i) {
      if (health[i] == Health::kMissing) report.missing.push_back(page[i].content.sha256);
      if (health[i] == Health::kDamaged) report.damaged.push_back(page[i].content.sha256);
    }
    after = page.back().content.sha256;
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(report.entries_without_version, reader->CountDangling());
  Status trouble;
  STAGEFS_RETURN_IF_ERROR(repository.versions().List([&](const Sha256& hash) {
    const auto known = reader->FindVersion(HashRef(hash));
    if (!known) trouble = known.error();
    else if (!*known) report.orphaned.push_back(hash);
    return trouble.has_value();
  }));
  if (!trouble) return trouble.error();
  return report;
}

Status SetAside(Repository& repository, const std::vector<Sha256>& damaged) {
  const std::string folder = repository.folder() + "/damaged";
  if (!damaged.empty()) STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  for (const Sha256& hash : damaged) {
    // In the writer's turn, so that nobody stores the same content meanwhile.
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.index().Begin(Durability::kProcessDeath));
    STAGEFS_RETURN_IF_ERROR(repository.versions().GiveBack(hash, folder + '/' + ToHex(hash)));
  }
  return {};
}

Result<GcReport> Gc(Repository& repository, int64_t keep_days) {
  if (keep_days < 0) return Error(ErrorCode::kInvalidArgument, "gc: --keep counts days from 0");
  STAGEFS_RETURN_IF_ERROR(repository.SyncAll());
  STAGEFS_RETURN_IF_ERROR(Uploads(repository).RemoveStale(NowNs() - kUploadKeepHours * kHourNs).WithoutValue());
  STAGEFS_RETURN_IF_ERROR(repository.versions().RemoveUnfinished(NowNs() - kUploadKeepHours * kHourNs).WithoutValue());
  GcReport report;
  const int64_t before_ns = NowNs() - keep_days * kDayNs;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto transaction, repository.index().Begin(Durability::kPowerLoss));
    STAGEFS_ASSIGN_OR_RETURN(const auto unused, transaction->ListUnused(before_ns, kPage));
    if (unused.empty()) break;
    for (const VersionInfo& version : unused) {
      STAGEFS_RETURN_IF_ERROR(transaction->EraseVersion(version.id));
      ++report.versions;
      report.bytes += version.size_bytes;
    }
    STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  }
  // Bytes go only now that no durable row names them. Each removal holds the writer's turn, in which every
  // put moves its bytes and adds its row: nobody gets a row for bytes that are about to go.
  std::vector<Sha256> orphans;
  STAGEFS_RETURN_IF_ERROR(repository.versions().List([&](const Sha256& hash) {
    orphans.push_back(hash);
    return true;
  }));
  for (const Sha256& hash : orphans) {
    STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(std::optional<VersionInfo> known, reader->FindVersion(HashRef(hash)));
    reader.reset();
    if (known) continue;
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.index().Begin(Durability::kProcessDeath));
    STAGEFS_ASSIGN_OR_RETURN(known, turn->FindVersion(HashRef(hash)));
    if (known) continue;
    STAGEFS_RETURN_IF_ERROR(repository.versions().Remove(hash));
    ++report.orphans;
  }
  report.orphans -= std::min(report.orphans, report.versions);
  return report;
}

}  // namespace stagefs
