# SPDX-License-Identifier: Apache-2.0
# cmake -D FROM=… -D TO=… -P public_header.cmake: a header of format/ as it is installed, in aquila/.
file(READ ${FROM} text)
string(REGEX REPLACE "#include \"format/[a-z]+/([a-z_]+\\.h)\"" "#include <aquila/\\1>" text "${text}")
file(WRITE ${TO} "${text}")
