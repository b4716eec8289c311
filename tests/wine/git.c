// git.exe for wine: runs the system's git with the GIT_ variables of Windows, and prints Windows paths as git does there.

#include <stdio.h>
#include <string.h>
#include <windows.h>

#define FROM(library, name) (void *) GetProcAddress(GetModuleHandleA(library), name)
#define LONGEST 9999

int main(int count, char **words) {
    // Of wine alone.
    int CDECL (*run)(char **command, int wait) = FROM("ntdll", "__wine_unix_spawnvp");
    char *CDECL (*to_unix)(const WCHAR *path) = FROM("kernel32", "wine_get_unix_file_name");
    WCHAR *CDECL (*to_windows)(const char *path) = FROM("kernel32", "wine_get_dos_file_name");
    char *command[99] = {"env"}, **next = command + 1;
    static char ceiling[LONGEST], files[2][LONGEST], printed[LONGEST];
    static WCHAR folder[LONGEST], paths[2][LONGEST];
    const char *ceilings = "GIT_CEILING_DIRECTORIES=";

    for (char *variable = GetEnvironmentStringsA(); *variable; variable += strlen(variable) + 1) {
        if (!strncmp(variable, ceilings, strlen(ceilings))) {
            MultiByteToWideChar(CP_ACP, 0, variable + strlen(ceilings), -1, folder, LONGEST);
            snprintf(*next++ = ceiling, LONGEST, "%s%s", ceilings, to_unix(folder));
        } else if (!strncmp(variable, "GIT_", 4)) {
            *next++ = variable;
        }
    }
    // Standard error of a program under wine is not that of what it starts.
    for (int stream = 0; stream < 2; stream++) {
        swprintf(paths[stream], LONGEST, L"C:\\git\\%lu.%d", GetCurrentProcessId(), stream + 1);
        snprintf(*next++ = files[stream], LONGEST, "file%d=%s", stream + 1, to_unix(paths[stream]));
    }
    *next++ = "sh";
    *next++ = "-c";
    // The path of a drive has a colon in it, which would divide the list, until links are followed.
    *next++ = "GIT_CEILING_DIRECTORIES=$(cd \"$GIT_CEILING_DIRECTORIES\" && pwd -P)\n"
              "export GIT_CEILING_DIRECTORIES\n"
              "exec git \"$@\" >\"$file1\" 2>\"$file2\"";
    for (int word = 0; word < count; word++) *next++ = words[word];
    int code = run(command, TRUE);

    for (int stream = 0; stream < 2; stream++) {
        FILE *file = _wfopen(paths[stream], L"rb");
        size_t length = file ? fread(printed, 1, LONGEST - 1, file) : 0;
        printed[length] = 0;
        if (file) fclose(file);
        DeleteFileW(paths[stream]);
        if (stream == 0 && code == 0 && count == 3 && !strcmp(words[2], "--show-toplevel")) {
            printed[strcspn(printed, "\n")] = 0;
            for (WCHAR *path = to_windows(printed); *path; path++) putchar(*path == L'\\' ? '/' : *path);
            putchar('\n');
        } else {
            fwrite(printed, 1, length, stream == 0 ? stdout : stderr);
        }
    }
    return code;
}
