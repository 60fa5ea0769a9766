// .stagefs/control: takes the lines `retry PATH`, `dismiss PATH` and `sync`.
#pragma once

#include "mount/control/control_place.h"

namespace stagefs {

class CommandFile : public ControlPlace {
 public:
  using ControlPlace::ControlPlace;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;
  // Accepted and without meaning, so that `echo … > control` works.
  Result<Attributes> SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes& set,
                                     FileHandle* handle) override;
  // One write is one request, ended by a newline, by NUL, or by nothing. kInvalidArgument for what is no request.
  Status RunRequest(std::string_view request);

 private:
  Status Run(const std::string& line);
};

}  // namespace stagefs
