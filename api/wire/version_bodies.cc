#include "version_bodies.h"

#include "body_json.h"
#include "http_status.h"
#include "status_bodies.h"
#include "stagefs/text.h"

namespace stagefs {

using namespace wire;

std::string VersionMetadataBody(const VersionInfo& version) {
  Json body = Base("success", kFound);
  body["version"] = {{"hash", ToHex(version.content.xxh3)}, {"size", version.size_bytes}};
  return Dump(body);
}

std::string MissingVersionsBody(const std::vector<std::string>& hashes) {
  return Dump({{"error",
                {{"type", "version_blobs_missing"},
                 {"title", "Versions missing"},
                 {"detail", std::to_string(hashes.size()) + " of the versions asked for are not here"},
                 {"missing_hashes", DisplayList(hashes)}}},
               {"status", "error"},
               {"status_message", StatusMessageOf(404)}});
}

std::string UploadStoredBody() {
  Json body = Base("success", kCreated);
  body["file"] = "already_stored";
  return Dump(body);
}

std::string UploadBegunBody(const std::string& id, uint64_t part_bytes, uint64_t parts, unsigned window) {
  Json body = Base("success", kCreated);
  body["file"] = "awaiting_parts";
  body["upload_id"] = id;
  body["part_size"] = part_bytes;
  body["num_parts"] = parts;
  body["part_window"] = window;
  return Dump(body);
}

std::string UploadPartBody(bool completed) {
  Json body = Base("success", kCreated);
  body["completed"] = completed;
  return Dump(body);
}

std::string CleanedBody(const CleanedView& result) {
  Json body = Base("success", kDeleted);
  body["result"] = {{"scanned", result.scanned},
                    {"corrupted", result.corrupted},
                    {"cleaned", result.cleaned},
                    {"errors", result.errors},
                    {"elapsed", result.elapsed_s}};
  return Dump(body);
}

}  // namespace stagefs
