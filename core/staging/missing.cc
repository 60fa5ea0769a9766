#include "stagefs/missing.h"

#include <vector>

#include "stagefs/interruption.h"
#include "stagefs/text.h"
#include "stagefs/work_progress.h"
#include "closed_files.h"
#include "system/exact_time.h"

namespace stagefs {
namespace {

constexpr size_t kTogether = 1024;
constexpr size_t kTogetherBytes = 1 << 20;

class MissingSearch {
 public:
  MissingSearch(Repository& repository, const std::function<Status(std::string_view)>& emit, MissingReport* report)
      : repository_(repository), emit_(emit), report_(*report) {}

  Status Add(const ManifestOptions& options, ManifestEntry entry) {
    ++report_.entries;
    if (report_.entries == 1) header_ = options.header;
    if (entry.target) return {};  // A link's target need not be there.
    auto hash = HashRef::Parse(entry.hash);
    if (!hash) {
      return report_.refused.Append({std::move(entry.hash), std::move(entry.path), hash.error().message(),
                                     hash.error().code(), entry.number});
    }
    bytes_ += entry.hash.size() + entry.path.size() + entry.text.size();
    hashes_.push_back(std::move(*hash));
    entries_.push_back(std::move(entry));
    return entries_.size() < kTogether && bytes_ < kTogetherBytes ? Status() : Finish();
  }

  // Looks for those that were not looked for yet.
  Status Finish() {
    if (entries_.empty()) return {};
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    // The index is let go of before what is written waits for whoever reads it.
    STAGEFS_ASSIGN_OR_RETURN(const auto found, Find());
    std::string text;
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (found[i]) continue;
      if (report_.missing++ == 0) text += header_;
      text += entries_[i].text.empty() ? ObjectOf(entries_[i]) : entries_[i].text;
    }
    NoteSteps(static_cast<int64_t>(entries_.size()));
    entries_.clear();
    hashes_.clear();
    bytes_ = 0;
    return text.empty() ? Status() : emit_(text);
  }

 private:
  Result<std::vector<std::optional<VersionInfo>>> Find() {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    return reader->FindVersions(hashes_);
  }

  static std::string ObjectOf(const ManifestEntry& entry) {
    std::string object = "{\"hash\":" + JsonString(entry.hash) + ',' + JsonPath("path", entry.path);
    if (entry.mtime_ns) object += ",\"mtime\":\"" + ExactTime(*entry.mtime_ns) + '"';
    if (entry.executable) object += std::string(",\"executable\":") + (*entry.executable ? "true" : "false");
    return object + "}\n";
  }

  Repository& repository_;
  const std::function<Status(std::string_view)>& emit_;
  MissingReport& report_;
  std::string header_;
  std::vector<ManifestEntry> entries_;
  std::vector<HashRef> hashes_;
  size_t bytes_ = 0;
};

}  // namespace

Result<MissingReport> FindMissing(Repository& repository, RewindableSource& source, ManifestFormat format,
                                  ManifestOptions options, const std::function<Status(std::string_view)>& emit) {
  // It may name what was just closed.
  (void)AwaitClosedFiles(repository, std::nullopt);
  MissingReport report(repository.incoming());
  MissingSearch search(repository, emit, &report);
  options.keep_text = true;
  STAGEFS_ASSIGN_OR_RETURN(const ManifestOptions own,
                           ReadManifest(source, format, options, [&](const ManifestOptions& with, ManifestEntry entry) {
                             return search.Add(with, std::move(entry));
                           }));
  STAGEFS_RETURN_IF_ERROR(search.Finish());
  report.counts_entries = own.counts_entries;
  return report;
}

}  // namespace stagefs
