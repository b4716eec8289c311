# Gets the nuget-login that release.txt names, holds its bytes to the SHA-256 that stands there, and runs it. The same as
# fetch.sh, for Windows PowerShell 5.1, which is on every Windows runner.
#
# From action.yml: ACTION_BINARY and ACTION_MIRROR (both may be empty), and the INPUT_* that the binary reads.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue' # a progress bar makes a download many times slower

$releases = 'https://github.com/org/nuget-login/releases/download'
$largest = 16MB
$private = $null

# One annotation, and the end. No control character is left in it and the runner's escape is escaped.
function Fail([string] $text) {
    if ($private) { Remove-Item -LiteralPath $private -Recurse -Force -ErrorAction SilentlyContinue }
    [Console]::Out.WriteLine('::error title=NuGet login failed::' + (Get-OneLine $text))
    exit 1
}

function Get-OneLine([string] $text) {
    ($text -replace '[\x00-\x1f\x7f]', ' ').Replace('%', '%25')
}

function Get-Sha256([string] $path) {
    (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash.ToLowerInvariant()
}

# What a binary says of its version; what went wrong where it says nothing.
function Get-Version([string] $path) {
    try { [string] (& $path --version) } catch { "cannot be run: $_" }
}

# Becomes the binary, as far as Windows can.
function Invoke-Login([string] $path) {
    & $path
    exit $LASTEXITCODE
}

# Which release, and which of its assets.
$architecture = if ($env:RUNNER_ARCH) { $env:RUNNER_ARCH } else { $env:PROCESSOR_ARCHITECTURE }
$target = switch ($architecture) {
    { $_ -in 'X64', 'AMD64' } { 'x86_64-pc-windows-msvc' }
    'ARM64' { 'aarch64-pc-windows-msvc' }
    default { $null }
}
$version = $null; $asset = $null; $digest = $null
foreach ($line in [IO.File]::ReadAllLines((Join-Path $PSScriptRoot 'release.txt'))) {
    $words = $line.Trim() -split '\s+'
    if ($words[0] -eq 'version') { $version = $words[1] }
    elseif ($target -and $words[0] -eq $target -and $words.Count -eq 3) { $asset = $words[1]; $digest = $words[2] }
}

# A binary that is installed already.
if ($env:ACTION_BINARY) {
    $binary = $env:ACTION_BINARY
    if ($binary -notmatch '^([A-Za-z]:[\\/]|\\\\)') { Fail "the input ``binary`` is '$binary': give an absolute path" }
    if (-not (Test-Path -LiteralPath $binary -PathType Leaf)) {
        Fail "the input ``binary`` is '$binary', where there is no file"
    }
    $said = Get-Version $binary
    if ($said -cne "nuget-login $version") {
        Fail "the input ``binary`` is '$binary' ($said): this action needs nuget-login $version there"
    }
    $notice = Get-OneLine "Using $binary, SHA-256 $(Get-Sha256 $binary)"
    [Console]::Out.WriteLine("::notice title=NuGet login::$notice")
    Invoke-Login $binary
}

if (-not $target) {
    Fail "there is no release for Windows $architecture`: build nuget-login $version from source and name it in the input ``binary``"
}
if (-not $asset) {
    Fail "this commit of the action names no release for $target`: use a released version of the action, or build nuget-login $version from source and name it in the input ``binary``"
}
if ($digest -cnotmatch '^[0-9a-f]{64}$') {
    Fail "release.txt of this action holds no SHA-256 for $target`: use another commit of the action"
}

$temp = if ($env:RUNNER_TEMP) { $env:RUNNER_TEMP } else { [IO.Path]::GetTempPath() }
$private = Join-Path $temp ('nuget-login.' + [Guid]::NewGuid().ToString('N'))
try { [void] (New-Item -ItemType Directory -Path $private) }
catch { Fail "no private folder can be made in $temp`: is the disk full, or read-only? $_" }
$binary = Join-Path $private 'nuget-login.exe'
$cached = if ($env:RUNNER_TOOL_CACHE) {
    Join-Path $env:RUNNER_TOOL_CACHE "nuget-login\$version\$target\nuget-login.exe"
} else { $null }

# The cache is anybody's: what is not a plain file of a sane size is passed over, and the copy is what counts.
$checked = $false
if ($cached -and (Test-Path -LiteralPath $cached -PathType Leaf)) {
    try {
        $entry = Get-Item -LiteralPath $cached -Force
        $plain = -not ($entry.Attributes -band [IO.FileAttributes]::ReparsePoint)
        if ($plain -and $entry.Length -le $largest) {
            Copy-Item -LiteralPath $cached -Destination $binary
            $checked = (Get-Sha256 $binary) -ceq $digest
        }
    } catch { $checked = $false }
    if (-not $checked) {
        [Console]::Out.WriteLine('The copy of nuget-login in the tool cache is not the released one; it is passed over.')
    }
}

if (-not $checked) {
    $base = if ($env:ACTION_MIRROR) { $env:ACTION_MIRROR.TrimEnd('/') } else { $releases }
    $allowed = '^(https://[A-Za-z0-9]|http://(127\.0\.0\.1|localhost)([:/]|$))[A-Za-z0-9:/._~%+-]*$'
    if ($base -notmatch $allowed) {
        Fail "the input ``mirror`` is '$env:ACTION_MIRROR': give an https URL (http is for loopback only)"
    }
    $url = "$base/v$version/$asset"
    # Windows PowerShell offers older protocols than 1.2 by itself.
    [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
    $curl = Join-Path $env:SystemRoot 'System32\curl.exe'
    $said = ''
    foreach ($pause in 1, 3, 0) {
        try {
            if (Test-Path -LiteralPath $curl) {
                $protocol = if ($url.StartsWith('http://')) { '=http' } else { '=https' }
                $noProxy = if ($url.StartsWith('http://')) { '*' } else { [string] $env:NO_PROXY }
                $ErrorActionPreference = 'Continue' # what curl says on its error stream is not an exception
                $said = [string] (& $curl -q --fail --location --silent --show-error --proto $protocol `
                    --proto-redir '=https' --tlsv1.2 --connect-timeout 10 --max-time 60 --max-filesize $largest `
                    --noproxy $noProxy --output $binary -- $url 2>&1)
                $ErrorActionPreference = 'Stop'
                $done = $LASTEXITCODE -eq 0
            } else {
                Invoke-WebRequest -UseBasicParsing -Uri $url -OutFile $binary -TimeoutSec 60
                $done = $true
            }
        } catch {
            $said = [string] $_
            $done = $false
        } finally {
            $ErrorActionPreference = 'Stop'
        }
        if ($done) { break }
        if ($said -match ' 404|\(404\)') {
            Fail "$url is not there (404): is the mirror complete, or was the release taken back? $said"
        }
        if ($pause) { Start-Sleep -Seconds $pause }
    }
    if (-not $done) {
        Fail "$url can't be downloaded: can this runner reach it, through a proxy if it needs one? $said"
    }
    $got = Get-Sha256 $binary
    if ($got -cne $digest) {
        Fail "$url is not what was released: its SHA-256 is $got, and this action was made for $digest. Nothing of it was run. Check the mirror or the proxy, or pin another commit of the action"
    }
    # All of it or nothing, for others on this machine; a cache that can't be written is none.
    if ($cached) {
        try {
            $folder = Split-Path -Parent $cached
            [void] (New-Item -ItemType Directory -Path $folder -Force)
            $new = Join-Path $folder ('.new.' + [Guid]::NewGuid().ToString('N'))
            Copy-Item -LiteralPath $binary -Destination $new
            Move-Item -LiteralPath $new -Destination $cached -Force
        } catch {
            if ($new) { Remove-Item -LiteralPath $new -Force -ErrorAction SilentlyContinue }
        }
    }
}

$said = Get-Version $binary
if ($said -cne "nuget-login $version") {
    Fail "nuget-login can't be run from $private ($said): are programs forbidden there? Install it elsewhere and name it in the input ``binary``"
}
Invoke-Login $binary
