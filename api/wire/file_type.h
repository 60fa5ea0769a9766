// What a file's extension says about it, in Oxen's terms.
#pragma once

#include <string>
#include <string_view>

namespace stagefs {

struct FileType {
  std::string extension;       // Without the dot; "" for none.
  std::string_view data_type;  // text, image, video, audio, tabular or binary.
  std::string_view mime_type;
};

FileType FileTypeOf(std::string_view path);

}  // namespace stagefs
