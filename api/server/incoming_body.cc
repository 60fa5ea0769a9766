#include "incoming_body.h"

namespace stagefs {

void IncomingBody::Add(const char* data, size_t size, const std::string& folder, uint64_t bytes_max) {
  received_ += size;
  if (received_ > bytes_max) {
    too_large_ = true;
    memory_.clear();
    spool_.Reset();
  }
  if (too_large_ || !trouble_) return;
  memory_.append(data, size);
  if (memory_.size() >= kInMemoryMax) trouble_ = Spill(folder);
}

Status IncomingBody::Spill(const std::string& folder) {
  if (!spool_.valid()) {
    STAGEFS_ASSIGN_OR_RETURN(spool_, OpenUnnamed(folder));
  }
  STAGEFS_RETURN_IF_ERROR(WriteAll(spool_.get(), memory_.data(), memory_.size()));
  memory_.clear();
  return {};
}

Result<std::unique_ptr<RewindableSource>> IncomingBody::Finish() {
  STAGEFS_RETURN_IF_ERROR(trouble_);
  if (!spool_.valid()) return NewStringSource(memory_);
  STAGEFS_RETURN_IF_ERROR(WriteAll(spool_.get(), memory_.data(), memory_.size()));
  memory_.clear();
  return NewFileSource(spool_.get());
}

}  // namespace stagefs
