#!/bin/sh
# Gets the nuget-login that release.txt names, holds its bytes to the SHA-256 that stands there, and becomes it. For
# Linux and macOS: plain POSIX, for dash, bash and busybox alike.
#
# What runs is always a private copy that was checked in this very run, also when it comes from the tool cache, which
# other jobs can write to. Whatever is wrong ends here, with an error that names the mend.
#
# From action.yml: ACTION_BINARY and ACTION_MIRROR (both may be empty), and the INPUT_* that the binary reads.
set -eu
LC_ALL=C
export LC_ALL
umask 077

here=${0%/*}
releases=https://github.com/org/nuget-login/releases/download
largest=16384 # KiB of an asset; a release has under 3,000
private=

# One annotation, and the end. No control character is left in it and the runner's escape is escaped, so that a path or
# a tool's message can't be a command of its own.
fail() {
    [ -z "$private" ] || rm -rf "$private"
    printf '::error title=NuGet login failed::%s\n' "$(one_line "$1")"
    exit 1
}

notice() {
    printf '::notice title=NuGet login::%s\n' "$(one_line "$1")"
}

one_line() {
    printf %s "$1" | tr '\000-\037\177' ' ' | sed 's/%/%25/g'
}

# The SHA-256 of a file, in lower case.
if command -v sha256sum >/dev/null 2>&1; then
    sha256() { sha256sum <"$1" | cut -c 1-64; }
elif command -v shasum >/dev/null 2>&1; then
    sha256() { shasum -a 256 <"$1" | cut -c 1-64; }
elif command -v openssl >/dev/null 2>&1; then
    sha256() { openssl dgst -sha256 -r <"$1" | cut -c 1-64; }
else
    fail "nothing here can check a SHA-256: install sha256sum, shasum or openssl"
fi

# Which release, and which of its assets.
case ${RUNNER_OS:-$(uname -s)}-${RUNNER_ARCH:-$(uname -m)} in
Linux-X64 | Linux-x86_64 | Linux-amd64) target=x86_64-unknown-linux-musl ;;
Linux-ARM64 | Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
macOS-X64 | Darwin-x86_64) target=x86_64-apple-darwin ;;
macOS-ARM64 | Darwin-arm64) target=aarch64-apple-darwin ;;
*) target= ;;
esac
version='' asset='' digest=''
while read -r name value more; do
    case $name in
    version) version=$value ;;
    "${target:-no target}") asset=$value digest=$more ;;
    esac
done <"$here/release.txt"

# A binary that is installed already.
if [ -n "${ACTION_BINARY:-}" ]; then
    case $ACTION_BINARY in
    /*) ;;
    *) fail "the input \`binary\` is '$ACTION_BINARY': give an absolute path" ;;
    esac
    [ -f "$ACTION_BINARY" ] || fail "the input \`binary\` is '$ACTION_BINARY', where there is no file"
    said=$("$ACTION_BINARY" --version 2>&1) || said="cannot be run: $said"
    [ "$said" = "nuget-login $version" ] ||
        fail "the input \`binary\` is '$ACTION_BINARY' ($said): this action needs nuget-login $version there"
    notice "Using $ACTION_BINARY, SHA-256 $(sha256 "$ACTION_BINARY")"
    exec "$ACTION_BINARY"
fi

[ -n "$target" ] || fail "there is no release for ${RUNNER_OS:-$(uname -s)} ${RUNNER_ARCH:-$(uname -m)}: build \
nuget-login $version from source and name it in the input \`binary\`"
[ -n "$asset" ] || fail "this commit of the action names no release for $target: use a released version of the action, \
or build nuget-login $version from source and name it in the input \`binary\`"
case $digest in
*[!0-9a-f]*) digest= ;;
esac
[ ${#digest} -eq 64 ] || fail "release.txt of this action holds no SHA-256 for $target: use another commit of the action"

private=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/nuget-login.XXXXXX") ||
    fail "no private folder can be made in ${RUNNER_TEMP:-${TMPDIR:-/tmp}}: is the disk full, or read-only?"
binary=$private/nuget-login
cache=${RUNNER_TOOL_CACHE:+$RUNNER_TOOL_CACHE/nuget-login/$version/$target}

# The cache is anybody's: what is not a regular file of a sane size is passed over, and the copy is what counts.
from_cache() {
    [ -n "$cache" ] || return 1
    [ -n "$(find "$cache/nuget-login" -prune -type f -size "-$((largest * 2))" 2>/dev/null)" ] || return 1
    head -c $((largest * 1024)) "$cache/nuget-login" >"$binary" 2>/dev/null || return 1
    [ "$(sha256 "$binary")" = "$digest" ] && return
    printf 'The copy of nuget-login in the tool cache is not the released one; it is passed over.\n'
    return 1
}

# All of it or nothing, for others on this machine; a cache that can't be written is none.
to_cache() {
    [ -n "$cache" ] || return 0
    (
        umask 022
        mkdir -p "$cache" || exit 0
        new=$(mktemp "$cache/.new.XXXXXX") || exit 0
        if cp "$binary" "$new" && chmod 644 "$new"; then mv -f "$new" "$cache/nuget-login"; fi
        rm -f "$new"
    ) 2>/dev/null || true
}

# One try. Nobody's configuration and no credentials take part; integrity rests on the digest, so that a tool that can't
# be told about TLS versions (busybox wget) is good enough.
download() { # url
    protocol='=https'
    case $1 in
    http://*)
        # A mirror on this machine, which no proxy stands before.
        protocol='=http'
        unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
        ;;
    esac
    ulimit -f $((largest * 2)) 2>/dev/null || true
    if command -v curl >/dev/null 2>&1; then
        curl -q --fail --location --silent --show-error --proto "$protocol" --proto-redir '=https' --tlsv1.2 \
            --connect-timeout 10 --max-time 60 --output "$binary" -- "$1"
    elif wget --version 2>/dev/null | grep -q 'GNU Wget'; then
        limited wget --no-config --no-netrc --no-verbose --tries=1 --timeout=20 --output-document="$binary" -- "$1"
    else
        # Without -T, on which busybox 1.35 crashes.
        limited wget -q -O "$binary" "$1"
    fi
}

# A minute in all, where `timeout` is there to see to it.
limited() {
    if command -v timeout >/dev/null 2>&1; then timeout 60 "$@"; else "$@"; fi
}

from_release() {
    base=${ACTION_MIRROR:-$releases}
    case $base in
    *[!A-Za-z0-9:/._~%+-]*) base= ;;
    https://?*) ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | http://127.0.0.1 | http://localhost) ;;
    *) base= ;;
    esac
    [ -n "$base" ] || fail "the input \`mirror\` is '$ACTION_MIRROR': give an https URL (http is for loopback only)"
    command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1 ||
        fail "neither curl nor wget is here: install one, or an nuget-login $version and name it in the input \`binary\`"
    url=${base%/}/v$version/$asset
    for pause in 1 3 end; do
        if (download "$url") 2>"$private/said"; then return; fi
        said=$(cat "$private/said" 2>/dev/null || true)
        case $said in
        *' 404'*) fail "$url is not there (404): is the mirror complete, or was the release taken back? $said" ;;
        *'No space'* | *'(23)'*) fail "$url can't be stored in $private: is the disk full? $said" ;;
        esac
        [ "$pause" = end ] || sleep "$pause"
    done
    fail "$url can't be downloaded: can this runner reach it, through a proxy if it needs one? $said"
}

if ! from_cache; then
    from_release
    got=$(sha256 "$binary")
    [ "$got" = "$digest" ] || fail "$url is not what was released: its SHA-256 is $got, and this action was made for \
$digest. Nothing of it was run. Check the mirror or the proxy, or pin another commit of the action"
    to_cache
fi

chmod 700 "$binary"
said=$("$binary" --version 2>&1) || fail "nuget-login can't be run from $private ($said): are programs forbidden there \
(noexec)? Install it elsewhere and name it in the input \`binary\`"
exec "$binary"
