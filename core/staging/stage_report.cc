#include "stagefs/stage_report.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "stagefs/error_names.h"
#include "stagefs/posix_env.h"
#include "stagefs/repo_path.h"

namespace stagefs {
namespace {

constexpr size_t kInMemoryBytesMax = 1 << 20;

void AppendField(std::string* buffer, const std::string& field) {
  const uint32_t size = static_cast<uint32_t>(field.size());
  buffer->append(reinterpret_cast<const char*>(&size), sizeof size);
  buffer->append(field);
}

std::string TakeField(std::string_view* rest) {
  uint32_t size = 0;
  std::memcpy(&size, rest->data(), sizeof size);
  std::string field(rest->substr(sizeof size, size));
  rest->remove_prefix(sizeof size + size);
  return field;
}

// Each record is its length, three fields, a code and a number.
Status ForEachIn(std::string_view records, const std::function<Status(const RefusedEntry&)>& visit) {
  while (!records.empty()) {
    uint32_t size = 0;
    std::memcpy(&size, records.data(), sizeof size);
    std::string_view record = records.substr(sizeof size, size);
    records.remove_prefix(sizeof size + size);
    RefusedEntry entry;
    entry.hash = TakeField(&record);
    entry.path = TakeField(&record);
    entry.reason = TakeField(&record);
    std::memcpy(&entry.code, record.data(), sizeof entry.code);
    std::memcpy(&entry.number, record.data() + sizeof entry.code, sizeof entry.number);
    STAGEFS_RETURN_IF_ERROR(visit(entry));
  }
  return {};
}

std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// `place` is null where the entries have neither a code nor a number.
Status WriteEntries(const RefusedEntries& entries, const char* place,
                    const std::function<Status(std::string_view)>& write) {
  bool first = true;
  return entries.ForEach([&](const RefusedEntry& entry) {
    nlohmann::json item = {{"path", ToDisplayUtf8(entry.path)}, {"reason", ToDisplayUtf8(entry.reason)}};
    if (place != nullptr) item.update({{place, entry.number}, {"code", NameOf(entry.code)}});
    if (!entry.hash.empty()) item["hash"] = ToDisplayUtf8(entry.hash);
    if (!IsValidUtf8(entry.path)) item["path_base64"] = Base64(entry.path);
    const std::string line = (first ? "\n" : ",\n") + Dump(item);
    first = false;
    return write(line);
  });
}

}  // namespace

RefusedEntries::RefusedEntries(std::string folder) : folder_(std::move(folder)) {}

RefusedEntries::~RefusedEntries() {
  if (spill_fd_ >= 0) close(spill_fd_);
}

RefusedEntries::RefusedEntries(RefusedEntries&& other) noexcept
    : folder_(std::move(other.folder_)),
      buffer_(std::move(other.buffer_)),
      spill_fd_(std::exchange(other.spill_fd_, -1)),
      spilled_bytes_(other.spilled_bytes_),
      size_(other.size_) {}

RefusedEntries& RefusedEntries::operator=(RefusedEntries&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(buffer_, other.buffer_);
  std::swap(spill_fd_, other.spill_fd_);
  std::swap(spilled_bytes_, other.spilled_bytes_);
  std::swap(size_, other.size_);
  return *this;
}

Status RefusedEntries::Append(const RefusedEntry& entry) {
  std::string record;
  AppendField(&record, entry.hash);
  AppendField(&record, entry.path);
  AppendField(&record, entry.reason);
  record.append(reinterpret_cast<const char*>(&entry.code), sizeof entry.code);
  record.append(reinterpret_cast<const char*>(&entry.number), sizeof entry.number);
  AppendField(&buffer_, record);
  ++size_;
  if (buffer_.size() < kInMemoryBytesMax) return {};
  if (spill_fd_ < 0) {
    STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenUnnamed(folder_));
    spill_fd_ = dup(fd.get());
    if (spill_fd_ < 0) return ErrnoError("keep the report");
  }
  STAGEFS_RETURN_IF_ERROR(WriteAllAt(spill_fd_, buffer_.data(), buffer_.size(), spilled_bytes_));
  spilled_bytes_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status RefusedEntries::ForEach(const std::function<Status(const RefusedEntry&)>& visit) const {
  // Spilled pieces end where a record ends only at the very end, so records are read one by one.
  for (uint64_t offset = 0; offset < spilled_bytes_;) {
    uint32_t size = 0;
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, ReadUpTo(spill_fd_, &size, sizeof size, offset));
    if (got != sizeof size) return Error(ErrorCode::kCorrupt, "the report was cut short");
    std::string record(sizeof size + size, '\0');
    STAGEFS_RETURN_IF_ERROR(ReadUpTo(spill_fd_, record.data(), record.size(), offset).WithoutValue());
    STAGEFS_RETURN_IF_ERROR(ForEachIn(record, visit));
    offset += record.size();
  }
  return ForEachIn(buffer_, visit);
}

const char* PlaceWord(bool counts_entries) { return counts_entries ? "entry" : "line"; }

Status WriteReportJson(const StageReport& report, const std::function<Status(std::string_view)>& write) {
  nlohmann::json head = {{"directory", ToDisplayUtf8(report.directory)},
                         {"atomic", report.atomic},
                         {"update_timestamp", report.update_timestamp},
                         {"dry_run", report.dry_run},
                         {"withdrawn", report.Withdrawn()},
                         {"finished", FormatTime(report.finished_ns)},
                         {"entries", report.entries},
                         {"added", report.added},
                         {"modified", report.modified},
                         {"unchanged", report.unchanged},
                         {"replaced", report.replaced.size()},
                         {"refused", report.refused.size()}};
  if (!report.columns.empty()) head["columns"] = ToDisplayUtf8(report.columns);
  std::string text = Dump(head);
  text.back() = ',';
  STAGEFS_RETURN_IF_ERROR(write(text + "\"refused_entries\":["));
  STAGEFS_RETURN_IF_ERROR(WriteEntries(report.refused, PlaceWord(report.counts_entries), write));
  STAGEFS_RETURN_IF_ERROR(write("],\"replaced_entries\":["));
  STAGEFS_RETURN_IF_ERROR(WriteEntries(report.replaced, nullptr, write));
  return write("]}\n");
}

}  // namespace stagefs
