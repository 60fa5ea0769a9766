#include "spilling_body.h"

#include "wire/file_reply.h"
#include "wire/reply.h"

namespace stagefs {

Status SpillingBody::Write(std::string_view text) {
  memory_ += text;
  if (memory_.size() < kBodyInMemoryMax) return {};
  if (!spill_.valid()) {
    STAGEFS_ASSIGN_OR_RETURN(spill_, OpenUnnamed(folder_));
  }
  return Flush();
}

Result<HttpResponse> SpillingBody::Finish(unsigned status) {
  if (!spill_.valid()) return JsonReply(status, std::move(memory_));
  STAGEFS_RETURN_IF_ERROR(Flush());
  STAGEFS_ASSIGN_OR_RETURN(HttpResponse response, FileReply(spill_.get(), 0, written_, "application/json"));
  response.status = status;
  return response;
}

Status SpillingBody::Flush() {
  STAGEFS_RETURN_IF_ERROR(WriteAll(spill_.get(), memory_.data(), memory_.size()));
  written_ += memory_.size();
  memory_.clear();
  return {};
}

}  // namespace stagefs
