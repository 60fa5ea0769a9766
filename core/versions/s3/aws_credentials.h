// Who signs requests to S3: found where AWS's own tools look, in their order.
#pragma once

#include <optional>
#include <string>

#include "versions/http_client.h"
#include "sigv4.h"
#include "stagefs/guarded.h"

namespace stagefs {

// Environment ($AWS_ACCESS_KEY_ID…), shared file ($AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials; $AWS_PROFILE),
// container endpoint ($AWS_CONTAINER_CREDENTIALS_…_URI), instance endpoint. Those that expire are asked for again
// five minutes before. https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
//
// Safe for concurrent use.
class AwsCredentials {
 public:
  // kPermission, saying where keys were looked for, if there are none.
  Result<AwsKeys> Get();

 private:
  struct Known {
    AwsKeys keys;
    std::optional<std::time_t> expires;  // None: never.
  };
  Result<Known> Find();
  Result<std::optional<Known>> AskContainer();
  Result<std::optional<Known>> AskInstance();

  HttpClient http_{1, std::chrono::seconds(5)};
  Guarded<std::optional<Known>> known_;
};

// $AWS_REGION, $AWS_DEFAULT_REGION, else us-east-1.
std::string AwsRegion();

}  // namespace stagefs
