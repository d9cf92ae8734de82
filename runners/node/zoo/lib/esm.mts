export default 'text' as const
export const shout = (value: string): string => value.toUpperCase()
