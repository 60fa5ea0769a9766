#include "file_type.h"
#include "stagefs/text.h"

#include <algorithm>
#include <array>

namespace stagefs {
namespace {

struct Known {
  std::string_view extension, data_type, mime_type;
};
constexpr std::array<Known, 29> kKnown = {{{"arrow", "tabular", "application/vnd.apache.arrow.file"},
                                           {"bmp", "image", "image/bmp"},
                                           {"csv", "tabular", "text/csv"},
                                           {"flac", "audio", "audio/flac"},
                                           {"gif", "image", "image/gif"},
                                           {"html", "text", "text/html"},
                                           {"jpeg", "image", "image/jpeg"},
                                           {"jpg", "image", "image/jpeg"},
                                           {"json", "text", "application/json"},
                                           {"jsonl", "tabular", "application/jsonl"},
                                           {"md", "text", "text/markdown"},
                                           {"mov", "video", "video/quicktime"},
                                           {"mp3", "audio", "audio/mpeg"},
                                           {"mp4", "video", "video/mp4"},
                                           {"ndjson", "tabular", "application/ndjson"},
                                           {"ogg", "audio", "audio/ogg"},
                                           {"parquet", "tabular", "application/parquet"},
                                           {"pdf", "binary", "application/pdf"},
                                           {"png", "image", "image/png"},
                                           {"py", "text", "text/x-python"},
                                           {"rs", "text", "text/x-rust"},
                                           {"tiff", "image", "image/tiff"},
                                           {"tsv", "tabular", "text/tab-separated-values"},
                                           {"txt", "text", "text/plain"},
                                           {"wav", "audio", "audio/wav"},
                                           {"webm", "video", "video/webm"},
                                           {"webp", "image", "image/webp"},
                                           {"yaml", "text", "text/yaml"},
                                           {"zip", "binary", "application/zip"}}};

}  // namespace

FileType FileTypeOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  FileType type{"", "binary", "application/octet-stream"};
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return type;
  type.extension = name.substr(dot + 1);
  const std::string lower = ToLowerAscii(type.extension);
  const auto known =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& one) { return one.extension == lower; });
  if (known == kKnown.end()) return type;
  type.data_type = known->data_type;
  type.mime_type = known->mime_type;
  return type;
}

}  // namespace stagefs
