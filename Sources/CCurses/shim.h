// ncurses as Swift 6 can use it: the library's global variables and macros behind inline functions.
#ifndef BURST_CCURSES_SHIM_H
#define BURST_CCURSES_SHIM_H
#define NCURSES_WIDECHAR 1
#ifndef _XOPEN_SOURCE_EXTENDED
#define _XOPEN_SOURCE_EXTENDED 1
#endif
#define NCURSES_NOMACROS 1
#include <locale.h>
#include <wchar.h>
#include <ncursesw/curses.h>
#include <ncursesw/term.h>

static inline WINDOW *nc_stdscr(void) { return stdscr; }
static inline int nc_colors(void) { return COLORS; }
static inline int nc_color_pairs(void) { return COLOR_PAIRS; }
static inline int nc_lines(void) { return LINES; }
static inline int nc_columns(void) { return COLS; }
static inline chtype nc_acs(unsigned char c) { return acs_map[c]; }
static inline attr_t nc_a_bold(void) { return A_BOLD; }
static inline attr_t nc_a_dim(void) { return A_DIM; }
static inline attr_t nc_a_underline(void) { return A_UNDERLINE; }
static inline attr_t nc_a_reverse(void) { return A_REVERSE; }
static inline attr_t nc_a_italic(void) { return A_ITALIC; }
static inline attr_t nc_a_altcharset(void) { return A_ALTCHARSET; }
static inline int nc_attr_set(WINDOW *w, attr_t a, int pair) { return wattr_set(w, a, (short)pair, &pair); }
#endif
