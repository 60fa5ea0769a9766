#!/usr/bin/env python3
"""The metadata service of a cloud's machine, version 2: keys for S3, for a token. Usage: metadata.py PORT LOG"""
import datetime
import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        with open(sys.argv[2], "a") as log:
            print(self.command, self.path, status, file=log)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_PUT(self):
        wanted = self.path == "/latest/api/token" and self.headers["x-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200 if wanted else 400, "the token" if wanted else "")

    def do_GET(self):
        if self.headers["x-aws-ec2-metadata-token"] != "the token":
            return self.answer(401, "")
        if self.path == "/latest/meta-data/iam/security-credentials/":
            return self.answer(200, "team-role")
        if self.path != "/latest/meta-data/iam/security-credentials/team-role":
            return self.answer(404, "")
        # About to expire: asked for again each time they are used.
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
        return self.answer(200, json.dumps({"Code": "Success", "AccessKeyId": "test", "SecretAccessKey": "testsecret",
                                            "Token": "", "Expiration": soon.strftime("%Y-%m-%dT%H:%M:%SZ")}))


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
