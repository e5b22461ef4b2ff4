/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that nothing can be put into. */
int main(void)
{
	return 0;
}
