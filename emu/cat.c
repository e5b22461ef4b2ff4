/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a file to standard output: how a table of the emulated host gets out of it. */
#include <stdio.h>

int main(int argc, char **argv)
{
	char buf[4096];
	size_t n;
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;

	if (!f) {
		perror("cat");
		return 1;
	}
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, stdout);
	return ferror(f) || fclose(stdout);
}
