/** What the person at the keyboard can mend: an option, a value, a file. It is shown as one line, without a stack. */
export class InputError extends Error {}
