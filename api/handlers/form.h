// Forms: files become versions, other fields are kept as text.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "call.h"
#include "wire/multipart.h"

namespace stagefs {

struct Form {
  struct File {
    std::string field, filename;
    VersionInfo version;
  };
  std::vector<File> files;
  std::map<std::string, std::string> fields;

  // `otherwise` also for an empty one.
  std::string Field(const std::string& name, const std::string& otherwise) const;
};

// Errors: as ReadMultipart()'s; kTooLarge for more or longer fields than may be.
Result<Form> ReadForm(const Call& call);

// The parts of the body, one by one.
Status ReadParts(const Call& call, const std::function<Status(const Part&, ByteSource&)>& visit);

}  // namespace stagefs
