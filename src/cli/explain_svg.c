/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The drawing of a translation: configuration in the first row, stage 1 in the second, stage 2 of
 * what stage 1 gave in the third, the end at the bottom. Each table is a box with the index that
 * was taken and the descriptor found there.
 */
#include "cli/explain.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BOX_W 250
#define GAP 46
#define MARGIN 30
#define ROW_GAP 56
#define LINE_H 16
#define COLUMNS 4
#define WIDTH (2 * MARGIN + COLUMNS * BOX_W + (COLUMNS - 1) * GAP)
#define BOX_LINES 13
#define TEXT_CHARS 38	/* that fit into a box */

struct box {
	const char *fill, *edge;
	char title[48];
	char line[BOX_LINES][80];
	unsigned int lines;
	int highlight;		/* the line with the descriptor, or -1 */
};

struct drawing {
	const struct trace *trace;
	FILE *out;
	int y;
};

static void escape(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else
			fputc(*text, out);
	}
}

static void text(const struct drawing *d, int x, int y, const char *class, const char *what)
{
	fprintf(d->out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	escape(d->out, what);
	fprintf(d->out, "</text>\n");
}

static int box_height(const struct box *box)
{
	return 28 + LINE_H * (int)box->lines + 8;
}

static int column_x(unsigned int column)
{
	return MARGIN + (int)column * (BOX_W + GAP);
}

static void draw_box(const struct drawing *d, unsigned int column, int y, int height,
		     const struct box *box)
{
	int x = column_x(column);
	unsigned int i;

	fprintf(d->out,
		"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"%s\" "
		"stroke=\"%s\" stroke-width=\"1.5\"/>\n",
		x, y, BOX_W, height, box->fill, box->edge);
	text(d, x + 10, y + 20, "title", box->title);
	for (i = 0; i < box->lines; i++) {
		int at = y + 28 + LINE_H * (int)i;

		if ((int)i == box->highlight)
			fprintf(d->out,
				"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" "
				"opacity=\"0.25\"/>\n",
				x + 1, at, BOX_W - 2, LINE_H + 1, box->edge);
		text(d, x + 10, at + 12, "mono", box->line[i]);
	}
}

static void add_line(struct box *box, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_line(struct box *box, const char *format, ...)
{
	va_list args;

	if (box->lines == BOX_LINES)
		return;
	va_start(args, format);
	vsnprintf(box->line[box->lines], sizeof(box->line[0]), format, args);
	va_end(args);
	box->line[box->lines++][TEXT_CHARS] = 0;
}

static void arrow(const struct drawing *d, int x1, int y1, int x2, int y2)
{
	fprintf(d->out,
		"<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#555\" "
		"stroke-width=\"1.6\" marker-end=\"url(#tip)\"/>\n",
		x1, y1, x2, y2);
}

/* From the end of one row, around, into the next one's first box. */
static void arrow_around(const struct drawing *d, unsigned int from_column, int from_y, int to_y)
{
	int x = column_x(from_column) + BOX_W / 2, x2 = column_x(0) + BOX_W - 25,
	    middle = (from_y + to_y) / 2 - 4;

	fprintf(d->out,
		"<path d=\"M %d %d V %d H %d V %d\" fill=\"none\" stroke=\"#555\" "
		"stroke-width=\"1.6\" marker-end=\"url(#tip)\"/>\n",
		x, from_y, middle, x2, to_y - 2);
}

static void add_fields(struct box *box, const struct decode_fields *fields)
{
	unsigned int i;

	for (i = 0; i < fields->n; i++)
		add_line(box, "%s %s", fields->field[i].name, fields->field[i].value);
}

/* How many steps of stage 2 it took to fetch what @step (of depth 0) read. */
static unsigned int fetch_steps(const struct trace *trace, const struct smmu_step *step)
{
	const struct smmu_step *first = step;

	while (first > trace->steps && (first - 1)->depth)
		first--;
	return step - first;
}

static void make_box(const struct drawing *d, const struct smmu_step *step, struct box *box)
{
	static const struct {
		const char *fill, *edge;
	} styles[] = {
		[SMMU_STEP_STE] = { "#f3eefb", "#7048a8" },
		[SMMU_STEP_CD] = { "#f3eefb", "#7048a8" },
		[SMMU_STEP_PTR] = { "#f3eefb", "#7048a8" },
		[SMMU_STEP_S1] = { "#fff6e0", "#c07a00" },
		[SMMU_STEP_S2] = { "#e6f1fd", "#1f6fbf" },
		[SMMU_STEP_PA] = { "#e7f7ea", "#1d8a3a" },
		[SMMU_STEP_EVENT] = { "#fdeaea", "#c02b2b" },
	};
	bool descriptor = step->kind == SMMU_STEP_S1 || step->kind == SMMU_STEP_S2;
	struct decode_fields fields;
	char name[24];

	*box = (struct box){ .fill = styles[step->kind].fill,
			     .edge = styles[step->kind].edge,
			     .highlight = -1 };
	explain_fields(d->trace, step, &fields);
	explain_name(d->trace, step, name);
	if (descriptor) {
		snprintf(box->title, sizeof(box->title), "%s, entry %u", name, step->index);
		add_line(box, "at  %s 0x%llx", step->kind == SMMU_STEP_S1 ? "IPA" : "PA ",
			 (unsigned long long)step->addr);
		if (step->kind == SMMU_STEP_S1 && d->trace->source != TRACE_REPLICA)
			add_line(box, "  = PA  0x%llx", (unsigned long long)step->pa);
		box->highlight = box->lines;
		add_line(box, "0x%016llx", (unsigned long long)step->data[0]);
	} else {
		snprintf(box->title, sizeof(box->title), "%s",
			 step->kind == SMMU_STEP_PTR ? "first-level pointer" : name);
		if (step->kind != SMMU_STEP_EVENT && step->kind != SMMU_STEP_PA)
			add_line(box, "at 0x%llx", (unsigned long long)step->addr);
		if (step->kind == SMMU_STEP_PTR)
			add_line(box, "0x%016llx", (unsigned long long)step->data[0]);
	}
	add_fields(box, &fields);
	if (fetch_steps(d->trace, step))
		add_line(box, "(fetched through %u of stage 2)", fetch_steps(d->trace, step));
}

/* A row of boxes for the steps @wanted of depth 0; the number drawn. */
static unsigned int draw_row(struct drawing *d, unsigned int wanted, const char *label)
{
	struct box boxes[COLUMNS];
	unsigned int i, n = 0;
	int height = 0;

	for (i = 0; i < d->trace->n && n < COLUMNS; i++) {
		const struct smmu_step *step = &d->trace->steps[i];

		if (step->depth || !(wanted & 1u << step->kind))
			continue;
		make_box(d, step, &boxes[n]);
		if (box_height(&boxes[n]) > height)
			height = box_height(&boxes[n]);
		n++;
	}
	if (!n)
		return 0;
	text(d, MARGIN, d->y - 10, "label", label);
	for (i = 0; i < n; i++) {
		draw_box(d, i, d->y, height, &boxes[i]);
		if (i)
			arrow(d, column_x(i - 1) + BOX_W, d->y + height / 2, column_x(i) - 3,
			      d->y + height / 2);
	}
	d->y += height;
	return n;
}

/* The input address cut into the indices that the levels take, as far as the walk went. */
static void draw_address(struct drawing *d, enum smmu_step_kind kind, uint64_t address,
			 const char *what)
{
	char cell[96];
	unsigned int i;
	int x = column_x(0) + BOX_W;

	snprintf(cell, sizeof(cell), "%s 0x%llx", what, (unsigned long long)address);
	text(d, MARGIN, d->y + 15, "mono strong", cell);
	for (i = 0; i < d->trace->n; i++) {
		const struct smmu_step *step = &d->trace->steps[i];

		if (step->depth || step->kind != kind)
			continue;
		fprintf(d->out,
			"<rect x=\"%d\" y=\"%d\" width=\"130\" height=\"22\" fill=\"%s\" "
			"stroke=\"#999\"/>\n",
			x, d->y, kind == SMMU_STEP_S1 ? "#fff6e0" : "#e6f1fd");
		snprintf(cell, sizeof(cell), "level %u: %u", step->level, step->index);
		text(d, x + 8, d->y + 15, "mono", cell);
		x += 130;
	}
	d->y += 22 + 34;
}

static void draw_end(struct drawing *d)
{
	const struct smmu_step *end = trace_end(d->trace);
	struct box box;
	char name[24];

	if (!end)
		return;
	make_box(d, end, &box);
	if (end->kind == SMMU_STEP_PA) {
		snprintf(box.title, sizeof(box.title), "%s 0x%llx",
			 explain_name(d->trace, end, name), (unsigned long long)end->pa);
		box.lines = 0;
	}
	draw_box(d, 0, d->y, box_height(&box), &box);
	if (d->trace->end_note[0])
		text(d, column_x(1) - GAP + 16, d->y + 24, "note", d->trace->end_note);
	d->y += box_height(&box);
}

/* The first step of @kind that the access itself took: what it was given is that stage's input. */
static const struct smmu_step *first_step(const struct trace *trace, enum smmu_step_kind kind)
{
	unsigned int i;

	for (i = 0; i < trace->n; i++)
		if (!trace->steps[i].depth && trace->steps[i].kind == kind)
			return &trace->steps[i];
	return NULL;
}

/* Where the next row's arrow comes from: the last box of the row above and its lower edge. */
struct source {
	unsigned int column;
	int bottom;
};

static void end_row(struct drawing *d, unsigned int boxes, struct source *from)
{
	from->column = boxes ? boxes - 1 : 0;
	from->bottom = d->y;
	d->y += ROW_GAP;
}

static void draw_stage(struct drawing *d, enum smmu_step_kind kind, const char *address,
		       const char *label, struct source *from)
{
	const struct smmu_step *first = first_step(d->trace, kind);

	if (!first)
		return;
	draw_address(d, kind, first->input, address);
	arrow_around(d, from->column, from->bottom, d->y - 24);
	end_row(d, draw_row(d, 1u << kind, label), from);
}

static void draw(struct drawing *d)
{
	struct source from;
	char title[256];

	text(d, MARGIN, 38, "head", explain_title(d->trace, title, sizeof(title)));
	d->y = 84;
	end_row(d,
		draw_row(d, 1u << SMMU_STEP_PTR | 1u << SMMU_STEP_STE | 1u << SMMU_STEP_CD,
			 "Configuration"),
		&from);
	draw_stage(d, SMMU_STEP_S1, "gIOVA", "Stage 1: the guest's tables", &from);
	draw_stage(d, SMMU_STEP_S2, "IPA", "Stage 2: the host's tables", &from);
	arrow_around(d, from.column, from.bottom, d->y);
	draw_end(d);
}

static const char head[] =
	"<style>\n"
	"text { font-family: sans-serif; fill: #222 }\n"
	".head { font-size: 19px; font-weight: bold }\n"
	".label { font-size: 13px; fill: #555 }\n"
	".title { font-size: 14px; font-weight: bold }\n"
	".mono { font-family: monospace; font-size: 11.5px }\n"
	".strong { font-weight: bold }\n"
	".note { font-size: 14px }\n"
	"</style>\n"
	"<defs><marker id=\"tip\" markerWidth=\"9\" markerHeight=\"9\" refX=\"7\" refY=\"4\" "
	"orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 Z\" fill=\"#555\"/></marker></defs>\n"
	"<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";

void explain_svg(const struct trace *trace, FILE *out)
{
	struct drawing d = { .trace = trace };
	char *body = NULL;
	size_t size;

	/* The height is known when all is drawn, and has to be said first. */
	d.out = open_memstream(&body, &size);
	if (!d.out)
		return;
	draw(&d);
	fclose(d.out);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n",
		WIDTH, d.y + MARGIN, WIDTH, d.y + MARGIN);
	fputs(head, out);
	fwrite(body, 1, size, out);
	fprintf(out, "</svg>\n");
	free(body);
}
