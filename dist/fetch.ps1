# Gets the nuget-login that release.txt names, holds its bytes to the SHA-256 that stands there, and runs it. The same as
# fetch.sh, for Windows PowerShell 5.1, which is on every Windows runner. Files are handled with .NET: cmdlets take
# brackets in a path for wildcards, and Get-FileHash is missing where the runner was started from PowerShell 7.
#
# From action.yml: ACTION_BINARY and ACTION_MIRROR (both may be empty), and the INPUT_* that the binary reads.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$releases = 'https://github.com/org/nuget-login/releases/download'
$largest = 16MB
$private = $null # the folder of our own
$held = $null # the checked file, open so that nobody can change it until it has run

# The end, with nothing left behind.
function Stop-Action([int] $code) {
    if ($held) { $held.Dispose() }
    if ($private) { Remove-Item -LiteralPath $private -Recurse -Force -ErrorAction SilentlyContinue }
    exit $code
}

# One annotation, and the end. No control character is left in it and the runner's escape is escaped.
function Fail([string] $text) {
    [Console]::Out.WriteLine('::error title=NuGet login failed::' + (Get-OneLine $text))
    Stop-Action 1
}

# Whatever was not thought of below.
trap { Fail "fetch.ps1: $_" }

function Get-OneLine([string] $text) {
    ($text -replace '[\x00-\x1f\x7f]', ' ').Replace('%', '%25')
}

function Get-Sha256([IO.Stream] $stream) {
    $sha = New-Object Security.Cryptography.SHA256CryptoServiceProvider
    try { [BitConverter]::ToString($sha.ComputeHash($stream)).Replace('-', '').ToLowerInvariant() }
    finally { $sha.Dispose() }
}

# A file that others can read but not change while it is open.
function Open-File([string] $path) {
    [IO.File]::Open($path, [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]::Read)
}

# `&` takes brackets for wildcards and backticks for escapes, and would run another file than the one that was checked.
function Invoke-File([string] $path, [string[]] $arguments) {
    & ($path -replace '([`*?\[\]])', '`$1') @arguments
}

# What a binary says of its version; what went wrong where it says nothing, within ten seconds.
function Get-Version([string] $path) {
    try {
        $start = New-Object Diagnostics.ProcessStartInfo($path, '--version')
        $start.UseShellExecute = $false
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        $process = [Diagnostics.Process]::Start($start)
        [Threading.Tasks.Task[]] $texts = $process.StandardOutput.ReadToEndAsync(), $process.StandardError.ReadToEndAsync()
        if (-not $process.WaitForExit(10000)) {
            $process.Kill()
            [void] $process.WaitForExit(2000) # or its file could not be deleted
            return 'no answer to --version within 10 seconds'
        }
        # A child of its own may keep the pipes open.
        if (-not [Threading.Tasks.Task]::WaitAll($texts, 5000)) { return 'no end of what --version says' }
        $said = ($texts[0].Result + $texts[1].Result).Trim()
        if ($said) { $said } else { "exit code $($process.ExitCode)" }
    } catch { "cannot be run: $_" }
}

# Which release, and which of its assets.
$architecture = if ($env:RUNNER_ARCH) { $env:RUNNER_ARCH } else { $env:PROCESSOR_ARCHITECTURE }
$target = switch ($architecture) {
    'X64' { 'x86_64-pc-windows-msvc' }
    'AMD64' { 'x86_64-pc-windows-msvc' }
    'ARM64' { 'aarch64-pc-windows-msvc' }
    default { $null }
}
$version = $null
$asset = $null
$digest = $null
$named = 0
foreach ($line in [IO.File]::ReadAllLines([IO.Path]::Combine($PSScriptRoot, 'release.txt'))) {
    $words = @($line.Trim() -split '\s+')
    if ($words.Count -eq 2 -and $words[0] -ceq 'version') { $version = $words[1] }
    if ($target -and $words[0] -ceq $target) {
        $named++
        if ($words.Count -eq 3) { $asset = $words[1]; $digest = $words[2] }
    }
}

# A binary that is installed already.
if ($env:ACTION_BINARY) {
    $binary = $env:ACTION_BINARY
    if ($binary -notmatch '\A([A-Za-z]:[\\/]|\\\\)') { Fail "the input 'binary' is '$binary': give an absolute path" }
    if (-not [IO.File]::Exists($binary)) { Fail "the input 'binary' is '$binary', where there is no plain file" }
    $held = Open-File $binary
    $digest = Get-Sha256 $held
    $said = Get-Version $binary
    if ($said -cne "nuget-login $version") {
        Fail "the input 'binary' is '$binary' ($said): this action needs nuget-login $version there"
    }
    [Console]::Out.WriteLine('::notice title=NuGet login::' + (Get-OneLine "Using $binary, SHA-256 $digest"))
    Invoke-File $binary @()
    Stop-Action $LASTEXITCODE
}

$build = "build nuget-login $version from source and name it in the input 'binary'"
if (-not $target) { Fail "there is no release for Windows ${architecture}: $build" }
if (-not $named) {
    Fail "this commit of the action names no release for ${target}: use a released version of the action, or $build"
}
if ($named -ne 1 -or $asset -cne "nuget-login-$target.exe" -or $digest -cnotmatch '\A[0-9a-f]{64}\z') {
    Fail "release.txt of this action holds no SHA-256 for ${target}: use another commit of the action"
}

# For this user, administrators and the system alone: what a folder inherits may let others plant files.
$temp = if ($env:RUNNER_TEMP) { $env:RUNNER_TEMP } else { [IO.Path]::GetTempPath() }
$private = [IO.Path]::Combine($temp, 'nuget-login.' + [Guid]::NewGuid().ToString('N'))
try {
    $user = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
    $access = New-Object Security.AccessControl.DirectorySecurity
    $access.SetSecurityDescriptorSddlForm("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;$user)")
    [void] [IO.Directory]::CreateDirectory($private, $access)
} catch { Fail "no private folder can be made in ${temp}: is the disk full, or read-only? $_" }
$binary = [IO.Path]::Combine($private, 'nuget-login.exe')

$cached = $null
if ($env:RUNNER_TOOL_CACHE) {
    $cached = [IO.Path]::Combine($env:RUNNER_TOOL_CACHE, 'nuget-login', $version, "$target\nuget-login.exe")
}

# The cache is anybody's: what is not a plain file of a sane size is passed over, and the copy is what counts.
$got = $null
if ($cached -and [IO.File]::Exists($cached)) {
    try {
        $plain = -not ([IO.File]::GetAttributes($cached) -band [IO.FileAttributes]::ReparsePoint)
        if ($plain -and (New-Object IO.FileInfo $cached).Length -le $largest) {
            # Its bytes alone, without attributes or streams.
            [IO.File]::WriteAllBytes($binary, [IO.File]::ReadAllBytes($cached))
            $held = Open-File $binary
            $got = Get-Sha256 $held
        }
    } catch { $got = $null }
    if ($got -cne $digest) {
        [Console]::Out.WriteLine('The copy of nuget-login in the tool cache is not the released one; it is passed over.')
        if ($held) { $held.Dispose(); $held = $null }
        [IO.File]::Delete($binary)
    }
}

if ($got -cne $digest) {
    $base = if ($env:ACTION_MIRROR) { $env:ACTION_MIRROR.TrimEnd('/') } else { $releases }
    $allowed = '\A(https://[A-Za-z0-9]|http://(127\.0\.0\.1|localhost)(?=[:/]|\z))[A-Za-z0-9:/._~%+-]*\z'
    if ($base -cnotmatch $allowed) {
        $shown = if ($env:ACTION_MIRROR.Contains('@')) { '***' } else { $env:ACTION_MIRROR } # it may hold a password
        Fail "the input 'mirror' is '$shown': give an https URL without user, password, query or blanks (http is for loopback only)"
    }
    $url = "$base/v$version/$asset"
    $curl = [IO.Path]::Combine([Environment]::SystemDirectory, 'curl.exe')
    if (-not [IO.File]::Exists($curl)) {
        Fail "$curl is not here (Windows has it since Windows 10 1803 and Windows Server 2019): install nuget-login $version and name it in the input 'binary'"
    }
    # A mirror on this machine, which no proxy stands before.
    $loopback = $base.StartsWith('http://', [StringComparison]::Ordinal)
    $protocol = if ($loopback) { '=http' } else { '=https' }
    $direct = @(if ($loopback) { '--noproxy'; '*'; '--max-redirs'; '0' } else { '--max-redirs'; '5' })
    # Not for a downloader. (nuget-login needs the first again, and the other one nowhere.)
    $requestToken = $env:ACTIONS_ID_TOKEN_REQUEST_TOKEN
    $env:ACTIONS_ID_TOKEN_REQUEST_TOKEN = $null
    $env:ACTIONS_RUNTIME_TOKEN = $null
    foreach ($pause in 1, 3, 0) {
        $ErrorActionPreference = 'Continue' # what curl says on its error stream is not an exception
        $said = [string] (& $curl -q --fail --location --silent --show-error --proto $protocol --proto-redir '=https' `
            '--tlsv1.2' --connect-timeout 10 --max-time 60 --max-filesize $largest $direct --output $binary $url 2>&1)
        $code = $LASTEXITCODE
        $ErrorActionPreference = 'Stop'
        if ($code -eq 0) { break }
        $missing = $said -match 'error: 404\b'
        # 408 and 429 are temporary.
        $refused = $said -match '(error:|tunnel failed, response|HTTP code) 4(?!08|29)\d\d\b'
        # curl puts the proxy's password into some of its words.
        if ("$env:https_proxy$env:http_proxy$env:all_proxy".Contains('@')) {
            $said = '(what curl said is not shown: the proxy has a password)'
        }
        if ($missing) {
            Fail "$url is not there (404): is the mirror complete, or was the release taken back? $said"
        }
        if ($refused) {
            Fail "$url is refused to this runner: is the mirror public (no credentials are sent), and does the proxy allow its host, if there is one? $said"
        }
        if ($code -eq 60) {
            Fail "the certificate of $url is not trusted here: is that of your company in the system's store? $said"
        }
        if ($code -eq 23) { Fail "$url can't be stored in ${private}: is the disk full? $said" }
        if ($pause) { Start-Sleep -Seconds $pause }
    }
    $env:ACTIONS_ID_TOKEN_REQUEST_TOKEN = $requestToken
    if ($code -ne 0) {
        Fail "$url can't be downloaded: can this runner reach it, through a proxy if it needs one? $said"
    }
    if (-not [IO.File]::Exists($binary)) { Fail "$url gave no file: $said" }
    $held = Open-File $binary
    $got = Get-Sha256 $held
    if ($got -cne $digest) {
        Fail "$url is not what was released: its SHA-256 is $got, and this action was made for $digest. Nothing of it was run. Check the mirror or the proxy, or pin another commit of the action"
    }
    # For the next job, and only where it belongs: nothing is written through a link. A cache that can't be written is none.
    $new = $null
    try {
        if ($cached -and -not [IO.Directory]::Exists($cached)) {
            $folder = [IO.Path]::GetDirectoryName($cached)
            [void] [IO.Directory]::CreateDirectory($folder)
            foreach ($level in 1..3) {
                if ([IO.File]::GetAttributes($folder) -band [IO.FileAttributes]::ReparsePoint) { throw "$folder is a link" }
                $folder = [IO.Path]::GetDirectoryName($folder)
            }
            $new = "$cached." + [Guid]::NewGuid().ToString('N')
            [IO.File]::Copy($binary, $new)
            if ([IO.File]::Exists($cached)) { [IO.File]::Delete($cached) }
            [IO.File]::Move($new, $cached)
        }
    } catch {
        if ($new) { Remove-Item -LiteralPath $new -Force -ErrorAction SilentlyContinue }
    }
}

$said = Get-Version $binary
if ($said -cne "nuget-login $version") {
    Fail "nuget-login can't be run from $private ($said): are programs forbidden there? Install it elsewhere and name it in the input 'binary'"
}
Invoke-File $binary @()
Stop-Action $LASTEXITCODE
