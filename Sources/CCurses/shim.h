// ncurses as Swift 6 can use it: the library's global variables and macros behind inline functions.
#ifndef BURST_CCURSES_SHIM_H
#define BURST_CCURSES_SHIM_H
#define NCURSES_WIDECHAR 1
#ifndef _XOPEN_SOURCE_EXTENDED
#define _XOPEN_SOURCE_EXTENDED 1
#endif
#define NCURSES_NOMACROS 1
#include <locale.h>
#include <stdio.h>
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
/// Puts one base character with its combining marks. ERR is of no consequence: it is said of the last cell, too.
static inline int nc_put(WINDOW *w, int row, int column, const wchar_t *text, attr_t attributes, int pair) {
    cchar_t cell;
    if (setcchar(&cell, text, attributes, 0, &pair) == ERR || wmove(w, row, column) == ERR) return ERR;
    return wadd_wch(w, &cell);
}
/// newterm() for the terminal that TERM names, reading from standard input.
static inline SCREEN *nc_newterm(FILE *output) { return newterm(0, output, stdin); }
static inline void nc_repaint(void) { clearok(curscr, TRUE); }
/// Ends what setupterm() began.
static inline void nc_forget_terminfo(void) {
    TERMINAL *terminal = cur_term;
    if (!terminal) return;
    set_curterm(0);
    del_curterm(terminal);
}
static inline const char *nc_parameter(const char *capability, int value) { return tiparm(capability, value); }
static inline const char *nc_cursor_to(const char *capability, int row, int column) {
    return tiparm(capability, row, column);
}
static inline mmask_t nc_press(void) { return BUTTON1_PRESSED; }
static inline mmask_t nc_double(void) { return BUTTON1_DOUBLE_CLICKED; }
static inline mmask_t nc_wheel_up(void) { return BUTTON4_PRESSED; }
static inline mmask_t nc_wheel_down(void) { return BUTTON5_PRESSED; }
static inline int nc_attr_set(WINDOW *w, attr_t a, int pair) { return wattr_set(w, a, (short)pair, &pair); }
#endif
