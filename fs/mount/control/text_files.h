// The texts of .stagefs, made when they are opened: config.json, last.json, stats, status, status.json; and
// manifest.sum, made while it is read.
#pragma once

#include <string_view>
#include <vector>

#include "mount/control/control_place.h"

namespace stagefs {

class TextFiles : public ControlPlace {
 public:
  using ControlPlace::ControlPlace;
  // Those that this mount has.
  std::vector<std::string> Names() const;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;
  // kNotFound.
  Result<std::string> TextOf(const std::string& name);

 private:
  struct Kind {
    std::string_view name;
    bool of_workspace;
    Result<std::string> (TextFiles::*make)();
  };
  static const std::vector<Kind>& Kinds();
  // The whole tree, as it is made while somebody reads it.
  Result<std::unique_ptr<ByteSource>> Manifest();
  Result<std::string> Config();
  Result<std::string> NewestReport();
  Result<std::string> Stats();
  Result<std::string> StatusText();
  Result<std::string> StatusJson();
};

}  // namespace stagefs
